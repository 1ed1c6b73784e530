"""What Keras knows of the networks that come with it."""

import re
from collections.abc import Callable

import tensorflow as tf

_APPLICATIONS = tf.keras.applications
NAMES = [name for name in dir(_APPLICATIONS) if name[0].isupper()]


def preprocess_input(name: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
  """The function of the module that a network comes from, if it has one."""
  build = getattr(_APPLICATIONS, name)
  for module in vars(_APPLICATIONS).values():
    if getattr(module, name, None) is build:
      return getattr(module, "preprocess_input", None)
  return None


def recognized(model_name: str) -> str | None:
  """The network whose default name a Keras model bears, such as "ResNet50"."""
  bare = re.sub(r"_\d\.\d+_\d+$", "", model_name)  # mobilenetv2_1.00_224
  bare = re.sub(r"[-_]", "", bare).lower()
  return next((name for name in NAMES if name.lower() == bare), None)
