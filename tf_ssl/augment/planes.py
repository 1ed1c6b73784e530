"""Memory layout and compilation of the photometric half of augmentation.

Planes are [B, 3, H + 2 * border, W + 2 * border], 0..255. The channels are
contiguous, which suits vector units. The border repeats the edge pixels as far
as a later blur reaches, so that no step needs padding. `to_planes` keeps the
dtype of the images, which may be uint8; all other functions return float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_ssl.ops import compiled as compiled_lib
from tf_ssl.ops import pixels


def call(step: Callable[..., Any], compiled: bool, *args: Any) -> Any:
  """Calls a step of the photometric half, compiled by XLA or not.

  TensorFlow's CPU kernels read and write all images for every operation; XLA
  fuses a step into one loop, which takes most of the time off. Steps are
  compiled one by one: in several at once XLA recomputes shared values.

  Args:
    step: function of a module, of which one compiled version is kept.
    compiled: whether to compile it.
    *args: arguments of the function.
  """
  return (compiled_lib.function(step) if compiled else step)(*args)


def to_planes(images: tf.Tensor, flip: tf.Tensor, border: int) -> tf.Tensor:
  """Mirrors some images and converts all to planes.

  Args:
    images: [B, H, W, 3], 0..255.
    flip: [B] bool, images to mirror.
    border: number of pixels to add on every side.

  Returns:
    [B, 3, H + 2 * border, W + 2 * border], dtype of the images.
  """
  _, height, width, _ = images.shape
  images = tf.where(flip[:, None, None, None], tf.reverse(images, [2]), images)
  if border:
    images = tf.gather(images, _clamped(height, border), axis=1)
    images = tf.gather(images, _clamped(width, border), axis=2)
  return tf.transpose(images, [0, 3, 1, 2])


def to_encoder(planes: tf.Tensor) -> tf.Tensor:
  """Normalizes planes without border: [B, 3, H, W] -> [B, H, W, 3]."""
  return pixels.normalize(tf.transpose(planes, [0, 2, 3, 1]))


def per_image(values: tf.Tensor) -> tf.Tensor:
  """Reshapes [B] to [B, 1, 1, 1]."""
  return values[:, None, None, None]


def interior_mean(plane: tf.Tensor, border: int) -> tf.Tensor:
  """Mean of the pixels inside the border: [B, 1, H', W'] -> [B]."""
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
