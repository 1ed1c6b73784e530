"""The sums of residual blocks in training on CPUs, each compiled to one kernel.

A block adds its shortcut and applies ReLU; the gradients of its two branches
are added again. TensorFlow's CPU kernels take two passes over memory and
convert bfloat16 one number at a time; XLA's take one vectorized pass and give
the same bits.
"""

import tensorflow as tf

from tf_ssl.ops import compiled

# Numbers from which on the time saved exceeds that of a call, 0.2 to 0.4 ms. On
# one core of an Intel Xeon with AMX, a million numbers take 2 ms less in
# bfloat16 and 0.4 ms less in float32.
_LEAST_BFLOAT16 = 2**19
_LEAST = 2**22


def is_faster(maps: tf.Tensor) -> bool:
  """Whether the compiled kernels train faster than TensorFlow's own.

  Args:
    maps: [B, H, W, C].

  Returns:
    False also if a dimension is not static, because each shape takes a
    compilation, and with a GPU.
  """
  if not maps.shape.is_fully_defined():
    return False
  if tf.config.list_physical_devices("GPU"):
    return False
  least = _LEAST_BFLOAT16 if maps.dtype == tf.bfloat16 else _LEAST
  return maps.shape.num_elements() >= least


@tf.custom_gradient
def fork(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """The input of a block for its two branches; their gradients are added.

  Args:
    maps: [B, H, W, C].

  Returns:
    The same maps twice.
  """

  def gradient(one, other):
    return compiled.function(_add)(one, other)

  return (tf.identity(maps), tf.identity(maps)), gradient


@tf.custom_gradient
def relu_of_sum(maps: tf.Tensor, shortcut: tf.Tensor) -> tf.Tensor:
  """ReLU of the sum of two branches: [B, H, W, C] each.

  Args:
    maps: output of the convolutions.
    shortcut: output of the shortcut, of the same dtype.
  """
  output = compiled.function(_add_relu)(maps, shortcut)

  def gradients(above):
    both = compiled.function(_relu_gradient)(output, above)
    return both, both

  return output, gradients


def _add(one, other):
  return one + other


def _add_relu(one, other):
  return tf.nn.relu(one + other)


def _relu_gradient(output, above):
  return tf.where(output > 0, above, tf.zeros_like(above))
