"""The differences between the two sets of packages that tf_ssl runs on.

Python 3.11 has TensorFlow 2.15 with its own Keras 2, tensorflow-addons and
tensorflow-io. Python 3.12 and later have TensorFlow 2.20, whose own Keras is
Keras 3; there Keras 2 is the package tf-keras, and the other two do not exist.
docs/stacks.md lists what follows for a user.
"""

import importlib
import os
import sys
from types import ModuleType

# Name of the package of Keras 2, as `pyproject.toml` installs it.
KERAS = "tf_keras" if sys.version_info >= (3, 12) else "keras"
# Environment variable that names a Python with Keras 3.
KERAS_3_PYTHON = "TF_SSL_KERAS3_PYTHON"
_SWITCH = "TF_USE_LEGACY_KERAS"  # Read by TensorFlow 2.16 and later.


def choose_keras_2() -> None:
  """Makes `tf.keras` Keras 2; does not import TensorFlow.

  Raises:
    ImportError: a program has used `tf.keras` as Keras 3 already.
  """
  if KERAS == "keras":
    return
  os.environ[_SWITCH] = "1"
  if "tensorflow" in sys.modules and not _is_keras_2(sys.modules["tensorflow"]):
    raise ImportError(
      f"tf_ssl needs Keras 2, and tf.keras is already Keras 3; set {_SWITCH}=1 "
      "in the environment, or import tf_ssl before TensorFlow"
    )


def _is_keras_2(tensorflow: ModuleType) -> bool:
  return tensorflow.keras.layers.Layer.__module__.startswith(KERAS + ".")


def keras_module(name: str) -> ModuleType:
  """Imports a module of Keras 2.

  Args:
    name: name of the module in Keras, such as "protobuf.saved_metadata_pb2".

  Raises:
    ImportError: there is no such module.
  """
  return importlib.import_module(f"{KERAS}.{name}")


def keras_version() -> str:
  """Version of Keras 2, such as "2.15.0"."""
  return importlib.import_module(KERAS).__version__


def keras_3_python() -> str | None:
  """Path of a Python with Keras 3 and TensorFlow; None if none is known."""
  other = os.environ.get(KERAS_3_PYTHON)
  if other or KERAS == "keras":
    return other or None
  return sys.executable


def keras_3_environment() -> dict[str, str]:
  """Environment in which the Python of `keras_3_python` finds Keras 3."""
  hidden = {_SWITCH}
  if keras_3_python() != sys.executable:
    hidden |= {"PYTHONPATH", "PYTHONHOME"}  # Modules of this Python.
  return {
    name: value for name, value in os.environ.items() if name not in hidden
  }


def how_to_get(package: str) -> str:
  """Says how to get a package that only one set has, for an error.

  Args:
    package: name of the package, such as "tensorflow-addons".
  """
  if KERAS == "keras":
    return f"pip install {package}"
  return "has no build for this Python: use Python 3.11"
