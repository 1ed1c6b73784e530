"""The precision in which TensorFlow computes features."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl.ops import bfloat16

_OPTION = "auto_mixed_precision_onednn_bfloat16"


def use_bfloat16_where_fast(
  *, say: Callable[[str], None] = lambda line: None
) -> None:
  """Makes convolutions and products compute in bfloat16 on CPUs that have it.

  It rewrites the graphs of models that are traced afterwards; weights and
  results stay float32. Without the instructions, on GPUs, and for models that
  TensorFlow does not run, such as ONNX, nothing changes.

  Args:
    say: takes a line if it does.
  """
  found = bfloat16.support()
  if found.in_hardware and not tf.config.list_physical_devices("GPU"):
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    say(f"Features in bfloat16, because {found.reason}.")


def precision() -> str:
  """Returns "bfloat16" after `use_bfloat16_where_fast` took effect, or ""."""
  options = tf.config.optimizer.get_experimental_options()
  return "bfloat16" if options.get(_OPTION) else ""
