"""Gaussian blur of a batch, each image with its own width."""

import math

import tensorflow as tf

from tf_ssl.augment import fused


def border(max_sigma: float) -> int:
  """How far the blur reaches: three standard deviations, in pixels."""
  return math.ceil(3 * max_sigma)


def gaussian_blur(
  planes: tf.Tensor, sigma: tf.Tensor, border: int, *, compiled: bool = False
) -> tf.Tensor:
  """Convolves with a Gaussian, first along columns, then along rows.

  Args:
    planes: [B, 3, H + 2 * border, W + 2 * border].
    sigma: [B], standard deviation in pixels; 0 leaves an image as it is.
    border: how far kernels reach; consumed.
    compiled: see `fused`.

  Returns:
    [B, 3, H, W].
  """
  planes = tf.cast(planes, tf.float32)
  kernels = _kernels(sigma, border)
  planes = fused.call(_convolve_columns, compiled, planes, kernels)
  return fused.call(_convolve_rows, compiled, planes, kernels)


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
  """[B, 2 * radius + 1], rows sum to one."""
  distance = tf.range(-radius, radius + 1, dtype=tf.float32)
  narrow = tf.maximum(sigma, 0.01)[:, None]  # exp(-5000) is exactly zero
  weights = tf.exp(-0.5 * tf.square(distance / narrow))
  weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
  return tf.ensure_shape(weights, [None, 2 * radius + 1])
