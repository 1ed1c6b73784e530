"""Convolution and pooling with PyTorch's padding.

With a stride, TensorFlow's SAME pads one pixel more at the end than at the
start; PyTorch pads both sides equally. Weights transfer only with explicit
padding.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl.encoders import convolution_by_products as by_products


class Convolution(tf.keras.layers.Conv2D):
  """Convolution without bias, with an odd kernel and PyTorch's padding.

  Initial values are those of torchvision's ResNet: normal, variance 2 /
  fan-out.

  Attributes:
    before_call: function of this layer and its inputs that runs before each
      call, or None; for initial values that depend on data.
  """

  def __init__(self, filters: int, kernel_size: int, *, strides: int = 1, **kw):
    kw.setdefault(
      "kernel_initializer",
      tf.keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
      ),
    )
    super().__init__(
      filters,
      kernel_size,
      strides=strides,
      padding="same",  # Same output shape as the explicit padding.
      use_bias=False,
      **kw,
    )
    self.before_call: Callable | None = None

  def call(self, inputs, training=None):
    """[B, H, W, C] -> [B, ceil(H/s), ceil(W/s), C']."""
    if self.before_call is not None:
      self.before_call(self, inputs)
    kernel = tf.convert_to_tensor(self.kernel)
    stride, size = self.strides[0], self.kernel_size[0]
    if size == 1 and stride > 1:
      # Not a strided convolution: TensorFlow 2.15's CPU kernel (oneDNN) of its
      # filter gradient has a race and is sometimes off by 20 %. Pooling windows
      # of one pixel are inputs[:, ::stride, ::stride], 7 to 30 times faster.
      inputs, stride = tf.nn.avg_pool2d(inputs, 1, stride, "VALID"), 1
    if stride > 1:
      # Not padding="EXPLICIT": its gradient is up to 30 times slower on CPUs.
      half = size // 2
      inputs = tf.pad(inputs, [[0, 0], [half, half], [half, half], [0, 0]])
    if training and by_products.is_faster(inputs, kernel, strides=stride):
      return by_products.convolve(inputs, kernel, strides=stride)
    # With stride 1, SAME equals PyTorch's padding.
    padding = "SAME" if stride == 1 else "VALID"
    return tf.nn.conv2d(inputs, kernel, stride, padding)


def max_pool_after_relu(maps: tf.Tensor) -> tf.Tensor:
  """3x3 max-pooling with stride 2 and one pixel of padding on each side.

  Args:
    maps: [B, H, W, C], not negative, so that padding with 0 equals PyTorch's
      padding with minus infinity.

  Returns:
    [B, ceil(H/2), ceil(W/2), C].
  """
  maps = tf.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]])
  return tf.nn.max_pool2d(maps, ksize=3, strides=2, padding="VALID")
