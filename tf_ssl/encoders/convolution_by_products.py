"""Convolutions of training on CPUs whose gradients are matrix products.

A 1x1 convolution is a matrix product. For a larger kernel the gradient of the
kernel is a sum over all positions (b, p, q) of the output, a matrix product for
each place (i, j) of the kernel:

  kernel'[i, j] = sum of inputs[b, s·p + i, s·q + j]^T output'[b, p, q]

Where a map has few pixels and many channels, oneDNN's own kernel for it has a
third to a half of the speed of its matrix product.
"""

import tensorflow as tf


def is_faster(inputs: tf.Tensor, kernel: tf.Tensor, *, strides: int) -> bool:
  """Whether `convolve` trains faster than TensorFlow's own convolution.

  The limits were measured on one core of an AMD EPYC (Zen 5) with AVX512-BF16,
  for the convolutions of ResNet-18 and ResNet-50 at 24 to 224 px.

  Args:
    inputs: [B, H, W, C], with strides including the padding.
    kernel: [size, size, C, C'].
    strides: stride of the convolution.

  Returns:
    False also if H or W is not static, and with a GPU.
  """
  if not inputs.shape[1:].is_fully_defined():
    return False
  if tf.config.list_physical_devices("GPU"):
    return False
  size, channels = kernel.shape[0], inputs.shape[3]
  if size == 1:
    return strides == 1
  if strides == 2:
    return channels > 4 * ((inputs.shape[2] - size) // 2 + 1)
  return (
    strides == 1
    and inputs.dtype == tf.bfloat16
    and channels > 8 * inputs.shape[2]
  )


def convolve(
  inputs: tf.Tensor, kernel: tf.Tensor, *, strides: int
) -> tf.Tensor:
  """Convolution as `tf.nn.conv2d`, with the gradient as matrix products.

  Sums are rounded in another order than in `tf.nn.conv2d`.

  Args:
    inputs: [B, H, W, C]; H and W are static.
    kernel: [size, size, C, C'].
    strides: 1 for padding that keeps H and W, else no padding.

  Returns:
    [B, H', W', C'].
  """
  if kernel.shape[0] == 1:
    return _pointwise(inputs, kernel)

  @tf.custom_gradient
  def with_gradient(output, inputs, kernel):
    def gradients(above):
      return above, None, _kernel_gradient(inputs, above, kernel.shape, strides)

    return tf.identity(output), gradients

  # The gradient of the inputs is TensorFlow's.
  output = tf.nn.conv2d(
    inputs,
    tf.stop_gradient(kernel),
    strides,
    "SAME" if strides == 1 else "VALID",
  )
  return with_gradient(output, tf.stop_gradient(inputs), kernel)


def _pointwise(inputs, kernel):
  channels, out_channels = kernel.shape[2:]
  product = tf.matmul(tf.reshape(inputs, [-1, channels]), kernel[0, 0])
  return tf.reshape(product, [-1, *inputs.shape[1:3], out_channels])


def _kernel_gradient(inputs, above, kernel_shape, strides):
  """[size, size, C, C'], from the gradient `above` [B, H', W', C']."""
  size, _, channels, out_channels = kernel_shape
  rows, columns = above.shape[1:3]
  above = tf.reshape(above, [-1, out_channels])
  if strides == 1:
    half = size // 2
    inputs = tf.pad(inputs, [[0, 0], [half, half], [half, half], [0, 0]])
  # The pixels that one place of the kernel meets, for each first one.
  grids = {}
  for i in range(strides):
    for j in range(strides):
      grid = inputs[:, i:, j:]
      if strides > 1:  # Pooling of one pixel: a slice with strides is slow.
        grid = tf.nn.avg_pool2d(grid, 1, strides, "VALID")
      grids[i, j] = grid
  products = []
  for i in range(size):
    for j in range(size):
      (top, y), (left, x) = divmod(i, strides), divmod(j, strides)
      seen = grids[y, x][:, top : top + rows, left : left + columns]
      seen = tf.reshape(seen, [-1, channels])
      products.append(tf.matmul(seen, above, transpose_a=True))
  return tf.reshape(tf.stack(products), kernel_shape)
