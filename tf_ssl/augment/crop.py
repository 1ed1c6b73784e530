"""The geometric half of a recipe: which windows of an image the views show.

Windows are drawn before the image is decoded, so that a JPEG is decoded only
where a view looks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_ATTEMPTS = 10


class CropRange(NamedTuple):
  """What RandomResizedCrop draws from.

  Attributes:
    area: smallest and largest area of a window, as a share of the region's.
    aspect: smallest and largest width / height.
  """

  area: tuple[float, float] = (0.2, 1.0)
  aspect: tuple[float, float] = (3 / 4, 4 / 3)


def draw(num_images: int | tf.Tensor, num_windows: int, seed: tf.Tensor):
  """[num_images, num_windows, ...]: what `random_windows` takes to decide."""
  return tf.random.stateless_uniform(
    [num_images, num_windows, _ATTEMPTS, 4], seed, alg="philox"
  )


def random_windows(
  regions: tf.Tensor, draws: tf.Tensor, *, crops: Sequence[CropRange]
) -> tf.Tensor:
  """Draws windows as torchvision's RandomResizedCrop does.

  Ten times: area ~ U(area), log(width / height) ~ U(log aspect), sides rounded
  to pixels; the first that fits is placed uniformly. Where none fits, the
  largest centered window whose aspect is within bounds.

  Args:
    regions: [N, 4] int32, ymin, xmin, height, width of what may be shown.
    draws: from `draw`, for N images and V windows.
    crops: the ranges of each of the V windows.

  Returns:
    [N, V, 4] int32: ymin, xmin, height, width.
  """
  # Halves, because sides are the square roots of area * aspect and so on.
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
  # The fallback stands last and always fits: argmax finds the first that does.
  windows = tf.concat([windows, _centered(start, sides, crops)], axis=2)
  fits = tf.pad(fits, [[0, 0], [0, 0], [0, 1]], constant_values=True)
  first = tf.argmax(tf.cast(fits, tf.int8), axis=2, output_type=tf.int32)
  return tf.cast(tf.gather(windows, first, axis=2, batch_dims=2), tf.int32)


def _centered(
  start: tf.Tensor, sides: tf.Tensor, crops: Sequence[CropRange]
) -> tf.Tensor:
  """[N, V, 1, 4]: the largest centered windows with an aspect within bounds."""
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
  """The smallest windows that hold V windows each; [..., V, 4] -> [..., 4]."""
  start = tf.reduce_min(windows[..., :2], axis=-2)
  end = tf.reduce_max(windows[..., :2] + windows[..., 2:], axis=-2)
  return tf.concat([start, end - start], axis=-1)
