"""The geometric half of a recipe: random windows of an image.

Windows are drawn before the image is decoded, so that only the part of a JPEG
that a view shows is decoded.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_ATTEMPTS = 10

# Position of windows in the image, ymin and xmin in whole pixels, [N, V, 2]: a
# function of uniform numbers [N, V, 2]; start and sides of the regions, [N, 1
# or V, 2]; and the windows' sides, [N, V, 2]. All are float32, row before
# column.
Place = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


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
  regions: tf.Tensor,
  draws: tf.Tensor,
  *,
  crops: Sequence[CropRange],
  place: Place | None = None,
  prefers: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
  """Draws windows as torchvision's RandomResizedCrop does.

  Up to ten attempts draw area ~ U(area) and log(width / height) ~ U(log
  aspect) and round the sides to pixels; the first window that fits gets a
  uniform position. If none fits, the result is the largest centered window
  with an aspect ratio within the range.

  Args:
    regions: [N, 4] int32, ymin, xmin, height, width of the part of the image
      that may be shown, in pixels; or [N, V, 4] for parts of each window.
    draws: random numbers of `draw` for N images and V windows.
    crops: ranges of the V windows.
    place: another position of a window; None for the uniform one.
    prefers: function from the sides [N, V, 10, 2] of windows, height and width
      in pixels, to [N, V, 10] bool: windows to take before others that fit.

  Returns:
    [N, V, 4] int32, ymin, xmin, height, width in pixels.
  """
  # Half of the logarithm, because height² = area / aspect.
  ranges = [[c.area, 0.5 * np.log(c.aspect)] for c in crops]  # [V, 2, 2]
  low, high = np.moveaxis(ranges, -1, 0)[:, :, None]  # [V, 1, 2] each
  low, extent = np.float32(low), np.float32(high - low)
  area, log_aspect = (
    draws[..., i] * extent[..., i] + low[..., i] for i in range(2)
  )  # [N, V, attempts]
  regions = tf.cast(regions, tf.float32)
  if regions.shape.rank == 2:
    regions = regions[:, None]
  start, sides = tf.split(regions, 2, axis=-1)  # [N, 1 or V, 2]
  rows, columns = (x[..., None] for x in tf.unstack(sides, axis=-1))
  side = tf.sqrt(area * (rows * columns))
  root = tf.exp(log_aspect)
  height, width = tf.round(side / root), tf.round(side * root)
  fits = (height >= 1.0) & (height <= rows) & (width >= 1.0)
  fits &= width <= columns
  # The earlier the attempt, the higher its score; 0 if none fits.
  last = draws.shape[2] or tf.shape(draws)[2]
  count = tf.cast(last, tf.float32)
  score = tf.cast(fits, tf.float32) * tf.range(count, 0.0, -1.0)
  if prefers is not None:
    liked = fits & prefers(tf.stack([height, width], axis=-1))
    score += count * tf.cast(liked, tf.float32)
  score = tf.reduce_max(score, axis=2)  # [N, V]
  none = (score == 0.0)[..., None]
  first = tf.cast(-score % count, tf.int32)  # 0 for the first attempt.
  row = tf.reshape(first, [-1]) + last * tf.range(tf.size(first))
  drawn = tf.stack(
    [tf.gather(tf.reshape(x, [-1]), row) for x in (height, width)], axis=-1
  )
  drawn = tf.reshape(drawn, [-1, len(crops), 2])
  drawn = tf.where(none, _largest(sides, crops), drawn)
  u = tf.gather(tf.reshape(draws, [-1, 4]), row)[:, 2:]
  u = tf.reshape(u, [-1, len(crops), 2])
  place = uniform if place is None else place
  found = tf.where(
    none, start + (sides - drawn) // 2.0, place(u, start, sides, drawn)
  )
  return tf.cast(tf.concat([found, drawn], axis=-1), tf.int32)


def uniform(
  u: tf.Tensor, start: tf.Tensor, sides: tf.Tensor, drawn: tf.Tensor
) -> tf.Tensor:
  """Any position inside the region with the same probability; see `Place`."""
  return start + tf.floor(u * (sides - drawn + 1.0))


def _largest(sides: tf.Tensor, crops: Sequence[CropRange]) -> tf.Tensor:
  """Sides [N, V, 2] of the largest windows with an aspect within the range."""
  narrow, wide = np.float32([c.aspect for c in crops]).T  # [V]
  rows, columns = tf.unstack(sides, axis=-1)  # [N, 1 or V]
  return tf.stack(
    [
      tf.minimum(rows, tf.round(columns / narrow)),
      tf.minimum(columns, tf.round(rows * wide)),
    ],
    axis=-1,
  )


def enclosing_window(windows: tf.Tensor) -> tf.Tensor:
  """Smallest window that contains V windows: [..., V, 4] -> [..., 4]."""
  start = tf.reduce_min(windows[..., :2], axis=-2)
  end = tf.reduce_max(windows[..., :2] + windows[..., 2:], axis=-2)
  return tf.concat([start, end - start], axis=-1)
