"""The geometric half of a recipe: which window of an image a view shows.

Windows are drawn before the image is decoded, so that a JPEG is decoded only
where a view looks.
"""

import math
from typing import NamedTuple

import tensorflow as tf

_ATTEMPTS = 10


class CropRange(NamedTuple):
  """What RandomResizedCrop draws from.

  Attributes:
    area: smallest and largest area of a window, as a share of the image's.
    aspect: smallest and largest width / height.
  """

  area: tuple[float, float] = (0.2, 1.0)
  aspect: tuple[float, float] = (3 / 4, 4 / 3)


def random_windows(
  height: tf.Tensor,
  width: tf.Tensor,
  *,
  crop: CropRange,
  num_windows: int,
  seed: tf.Tensor,
) -> tf.Tensor:
  """Draws windows as torchvision's RandomResizedCrop does.

  Ten times: area ~ U(area), log(width / height) ~ U(log aspect), sides rounded
  to pixels; the first that fits is placed uniformly. Where none fits, the
  largest centred window whose aspect is within bounds.

  Args:
    height: [] int32, of the image.
    width: [] int32, of the image.
    crop: the ranges.
    num_windows: how many independent windows to draw.
    seed: [2] integer.

  Returns:
    [num_windows, 4] int32: ymin, xmin, height, width.
  """
  draws = tf.random.stateless_uniform(
    [4, num_windows, _ATTEMPTS], seed, dtype=tf.float64, alg="philox"
  )
  rows, columns = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
  area_min, area_max = crop.area
  log_min, log_max = (math.log(a) for a in crop.aspect)
  area = rows * columns * (area_min + (area_max - area_min) * draws[0])
  aspect = tf.exp(log_min + (log_max - log_min) * draws[1])
  w = tf.round(tf.sqrt(area * aspect))  # [num_windows, _ATTEMPTS]
  h = tf.round(tf.sqrt(area / aspect))
  fits = (w >= 1) & (w <= columns) & (h >= 1) & (h <= rows)
  windows = tf.stack(
    [
      tf.floor(draws[2] * (rows - h + 1)),
      tf.floor(draws[3] * (columns - w + 1)),
      h,
      w,
    ],
    axis=-1,
  )  # [num_windows, _ATTEMPTS, 4]
  first = tf.argmax(fits, axis=1, output_type=tf.int32)  # first that is true
  chosen = tf.gather(windows, first, axis=1, batch_dims=1)
  centred = _centre_window(rows, columns, crop.aspect)
  any_fits = tf.reduce_any(fits, axis=1, keepdims=True)
  return tf.cast(tf.where(any_fits, chosen, centred), tf.int32)


def _centre_window(
  rows: tf.Tensor, columns: tf.Tensor, aspect: tuple[float, float]
) -> tf.Tensor:
  """[4] float64: the fallback of RandomResizedCrop."""
  narrowest, widest = (tf.constant(a, tf.float64) for a in aspect)
  ratio = columns / rows
  h = tf.where(ratio < narrowest, tf.round(columns / narrowest), rows)
  w = tf.where(ratio > widest, tf.round(rows * widest), columns)
  return tf.stack([(rows - h) // 2, (columns - w) // 2, h, w])


def enclosing_window(windows: tf.Tensor) -> tf.Tensor:
  """The smallest window that holds all of `windows` ([V, 4]); [4] int32."""
  start = tf.reduce_min(windows[:, :2], axis=0)
  end = tf.reduce_max(windows[:, :2] + windows[:, 2:], axis=0)
  return tf.concat([start, end - start], axis=0)


def resize(image: tf.Tensor, size: int) -> tf.Tensor:
  """Resizes to a square as PIL and torchvision do.

  Bilinear between half-pixel centres, with the kernel widened where the image
  shrinks (antialiased).

  Args:
    image: [h, w, 3] uint8.
    size: pixels a side of the result.

  Returns:
    [size, size, 3] uint8.
  """
  sides = tf.cast(tf.shape(image)[:2], tf.float32)
  resized = tf.raw_ops.ScaleAndTranslate(
    images=image[tf.newaxis],
    size=[size, size],
    scale=float(size) / sides,
    translation=[0.0, 0.0],
    kernel_type="triangle",
    antialias=True,
  )[0]
  resized = tf.ensure_shape(resized, [size, size, 3])
  return tf.cast(resized + 0.5, tf.uint8)  # rounds: values are not negative
