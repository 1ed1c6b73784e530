"""The geometric half of a recipe: random windows of an image.

Windows are drawn before the image is decoded, so that only the part of a JPEG
that a view shows is decoded.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_ATTEMPTS = 10


class CropRange(NamedTuple):
  """Range of torchvision's RandomResizedCrop.

  Attributes:
    area: smallest and largest area of a window, as a fraction of the region's.
    aspect: smallest and largest ratio of width to height.
  """

  area: tuple[float, float] = (0.2, 1.0)
  aspect: tuple[float, float] = (3 / 4, 4 / 3)


def draw(num_images: int | tf.Tensor, num_windows: int, seed: tf.Tensor):
  """Random numbers [num_images, num_windows, 10, 4] for `random_windows`."""
  return tf.random.stateless_uniform(
    [num_images, num_windows, _ATTEMPTS, 4], seed, alg="philox"
  )


def random_windows(
  regions: tf.Tensor, draws: tf.Tensor, *, crops: Sequence[CropRange]
) -> tf.Tensor:
  """Draws windows as torchvision's RandomResizedCrop does.

  Up to ten attempts draw area ~ U(area) and log(width / height) ~ U(log
  aspect) and round the sides to pixels; the first window that fits gets a
  uniform position. If none fits, the result is the largest centered window
  with an aspect ratio within the range.

  Args:
    regions: [N, 4] int32, ymin, xmin, height, width of the part of the image
      that may be shown, in pixels.
    draws: random numbers of `draw` for N images and V windows.
    crops: ranges of the V windows.

  Returns:
    [N, V, 4] int32, ymin, xmin, height, width in pixels.
  """
  # Half of the logarithm, because height² = area / aspect.
  ranges = [[c.area, 0.5 * np.log(c.aspect)] for c in crops]  # [V, 2, 2]
  low, high = np.moveaxis(ranges, -1, 0)[:, :, None]  # [V, 1, 2] each
  area, log_aspect = tf.unstack(
    draws[..., :2] * np.float32(high - low) + np.float32(low), axis=-1
  )  # [N, V, attempts]
  regions = tf.cast(regions, tf.float32)[:, None, None]
  start, sides = tf.split(regions, 2, axis=-1)  # [N, 1, 1, 2]
  side = tf.sqrt(area * tf.reduce_prod(sides, axis=-1))
  root = tf.exp(log_aspect)
  drawn = tf.round(tf.stack([side / root, side * root], axis=-1))
  fits = tf.reduce_all((drawn >= 1.0) & (drawn <= sides), axis=-1)
  place = tf.floor(draws[..., 2:] * (sides - drawn + 1.0))
  windows = tf.concat([start + place, drawn], axis=-1)
  # The fallback is the last and always fits: argmax finds the first that fits.
  windows = tf.concat([windows, _centered(start, sides, crops)], axis=2)
  fits = tf.pad(fits, [[0, 0], [0, 0], [0, 1]], constant_values=True)
  first = tf.argmax(tf.cast(fits, tf.int8), axis=2, output_type=tf.int32)
  return tf.cast(tf.gather(windows, first, axis=2, batch_dims=2), tf.int32)


def _centered(
  start: tf.Tensor, sides: tf.Tensor, crops: Sequence[CropRange]
) -> tf.Tensor:
  """Fallback windows [N, V, 1, 4]: centered, aspect ratio within the range."""
  narrow, wide = np.float32([c.aspect for c in crops]).T[..., None]  # [V, 1]
  rows, columns = tf.unstack(sides, axis=-1)  # [N, 1, 1]
  fallback = tf.stack(
    [
      tf.minimum(rows, tf.round(columns / narrow)),
      tf.minimum(columns, tf.round(rows * wide)),
    ],
    axis=-1,
  )
  return tf.concat([start + (sides - fallback) // 2.0, fallback], axis=-1)


def enclosing_window(windows: tf.Tensor) -> tf.Tensor:
  """Smallest window that contains V windows: [..., V, 4] -> [..., 4]."""
  start = tf.reduce_min(windows[..., :2], axis=-2)
  end = tf.reduce_max(windows[..., :2] + windows[..., 2:], axis=-2)
  return tf.concat([start, end - start], axis=-1)
