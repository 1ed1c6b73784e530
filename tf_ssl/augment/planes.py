"""The layout that the photometric half computes in.

Planes are [B, 3, H + 2 * border, W + 2 * border], 0..255: channels are
contiguous, which is what vector units want, and the edge pixels are repeated
outwards as far as a later blur reaches, so that nothing needs padding between.
The first are of the images' type, which may be uint8; all others are float32.
"""

import numpy as np
import tensorflow as tf

from tf_ssl.ops import pixels


def to_planes(images: tf.Tensor, flip: tf.Tensor, border: int) -> tf.Tensor:
  """Mirrors the chosen images and lays all out in planes.

  Args:
    images: [B, H, W, 3], 0..255.
    flip: [B] bool.
    border: how many pixels to add on every side.

  Returns:
    Planes.
  """
  _, height, width, _ = images.shape
  images = tf.where(flip[:, None, None, None], tf.reverse(images, [2]), images)
  if border:
    images = tf.gather(images, _clamped(height, border), axis=1)
    images = tf.gather(images, _clamped(width, border), axis=2)
  return tf.transpose(images, [0, 3, 1, 2])


def to_encoder(planes: tf.Tensor) -> tf.Tensor:
  """Borderless planes in, normalized [B, H, W, 3] float32 out."""
  return pixels.normalize(tf.transpose(planes, [0, 2, 3, 1]))


def per_image(values: tf.Tensor) -> tf.Tensor:
  """[B] -> [B, 1, 1, 1]."""
  return values[:, None, None, None]


def interior_mean(plane: tf.Tensor, border: int) -> tf.Tensor:
  """[B, 1, H', W'] -> [B]: the mean of what is not border."""
  height, width = plane.shape[2:]
  weights = np.zeros((height, width), np.float32)
  inside = weights[border : height - border, border : width - border]
  inside[:] = 1.0 / inside.size
  # A product, not a reduction: XLA's CPU reductions are not vectorized.
  return tf.linalg.matvec(
    tf.reshape(plane, [-1, height * width]), weights.reshape(-1)
  )


def _clamped(size: int, border: int) -> np.ndarray:
  return np.clip(np.arange(-border, size + border), 0, size - 1)
