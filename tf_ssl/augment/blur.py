"""Gaussian blur of a batch, each image with its own width."""

import math

import tensorflow as tf


def gaussian_blur(
  x: tf.Tensor, sigma: tf.Tensor, *, max_sigma: float
) -> tf.Tensor:
  """Convolves with a Gaussian, rows and columns apart; edges are repeated.

  Args:
    x: [B, 3, H, W].
    sigma: [B], standard deviation in pixels; 0 leaves the image as it is.
    max_sigma: an upper bound of `sigma`; kernels reach three times as far.

  Returns:
    [B, 3, H, W].
  """
  radius = math.ceil(3 * max_sigma)
  kernel = _kernels(sigma, radius)  # [B, 2 * radius + 1]
  for axis in (2, 3):
    size = x.shape[axis]
    reach = tf.range(-radius, size + radius)
    padded = tf.gather(x, tf.clip_by_value(reach, 0, size - 1), axis=axis)
    taps = []
    for k in range(2 * radius + 1):
      part = (
        padded[:, :, k : k + size] if axis == 2 else padded[..., k : k + size]
      )
      taps.append(kernel[:, k, None, None, None] * part)
    x = tf.add_n(taps)
  return x


def _kernels(sigma: tf.Tensor, radius: int) -> tf.Tensor:
  """[B, 2 * radius + 1], rows sum to one."""
  distance = tf.range(-radius, radius + 1, dtype=tf.float32)
  narrow = tf.maximum(sigma, 1e-2)[:, None]  # exp(-5000) is exactly zero
  weights = tf.exp(-0.5 * tf.square(distance / narrow))
  return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
