"""Gaussian blur of a batch, with a standard deviation for each image."""

import math

import tensorflow as tf

from tf_ssl.augment import planes as planes_lib


def border(max_sigma: float) -> int:
  """Radius of the kernel in pixels: three standard deviations."""
  return math.ceil(3 * max_sigma)


def gaussian_blur(
  planes: tf.Tensor, sigma: tf.Tensor, border: int, *, compiled: bool = False
) -> tf.Tensor:
  """Convolves with a Gaussian, first along columns, then along rows.

  Args:
    planes: [B, 3, H + 2 * border, W + 2 * border].
    sigma: [B], standard deviation in pixels; 0 changes nothing.
    border: radius of the kernels in pixels; the result has no border.
    compiled: whether XLA compiles the steps.

  Returns:
    [B, 3, H, W] float32.
  """
  planes = tf.cast(planes, tf.float32)
  kernels = _kernels(sigma, border)
  planes = planes_lib.call(_convolve_columns, compiled, planes, kernels)
  return planes_lib.call(_convolve_rows, compiled, planes, kernels)


def _convolve_columns(x: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
  taps = kernels.shape[1]
  height = x.shape[2] - taps + 1
  return tf.add_n(
    [
      kernels[:, k, None, None, None] * x[:, :, k : k + height]
      for k in range(taps)
    ]
  )


def _convolve_rows(x: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
  taps = kernels.shape[1]
  width = x.shape[3] - taps + 1
  return tf.add_n(
    [
      kernels[:, k, None, None, None] * x[..., k : k + width]
      for k in range(taps)
    ]
  )


def _kernels(sigma: tf.Tensor, radius: int) -> tf.Tensor:
  """Kernels [B, 2 * radius + 1], with a sum of 1 each."""
  distance = tf.range(-radius, radius + 1, dtype=tf.float32)
  narrow = tf.maximum(sigma, 0.01)[:, None]  # exp(-5000) is exactly 0.
  weights = tf.exp(-0.5 * tf.square(distance / narrow))
  weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
  return tf.ensure_shape(weights, [None, 2 * radius + 1])
