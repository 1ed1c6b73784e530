"""What two random crops of one image have in common, by simulation over boxes.

Crops are drawn by the sampler that makes the views in training
(`augment.crop`, torchvision's RandomResizedCrop), in whole pixels of the
original images; no image is read.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import crop as crop_lib
from tf_ssl.dataset_bias import object_boxes, view_contents
from tf_ssl.models import feature_extractor

_IMAGES_AT_ONCE = 128


class Mean(NamedTuple):
  """A mean over views and its 95 % interval over images; NaN: undefined."""

  value: float
  low: float
  high: float


def simulate(
  objects: object_boxes.ObjectBoxes,
  crop_range: crop_lib.CropRange,
  *,
  pairs: int = 64,
  seed: int = 0,
  shown: view_contents.Shown | None = None,
  progress: Callable[[int], object] = lambda images: None,
) -> view_contents.Contents:
  """Draws pairs of crops of every image and looks which objects they show.

  Args:
    objects: every image has at least one.
    crop_range: the recipe's, for both views.
    pairs: P, pairs of views of each image.
    seed: of the crops. Equal seeds give like crops for different ranges, so
      that differences between recipes are less noisy than the values.
    shown: when an object counts as shown; None for the defaults.
    progress: told how many images were done since it was last called.

  Raises:
    UsageError: a setting out of range, no image, or an image without objects.
  """
  shown = shown or view_contents.Shown()
  check(crop_range, shown, pairs)
  if not objects.num_images or not objects.counts.all():
    raise errors.UsageError(
      f"{objects.num_images} images, {int((objects.counts == 0).sum())} of them"
      " without an object; expected at least one image, and objects in each"
    )
  starts = range(0, objects.num_images, _IMAGES_AT_ONCE)
  # One function for all chunks, so that TensorFlow traces it once.
  draw = sampler(crop_range, 2 * pairs)

  def one(start: int) -> view_contents.Contents:
    stop = min(start + _IMAGES_AT_ONCE, objects.num_images)
    part = objects.take(np.arange(start, stop))
    windows = draw(part.sizes, tf.constant([seed, start], tf.int64)).numpy()
    result = view_contents.contents(part, windows, shown)
    progress(stop - start)
    return result

  parts = list(feature_extractor.map_ahead(one, starts))
  sums, counts, overlap, cover = zip(*parts, strict=True)
  return view_contents.Contents(
    _joined(sums), _joined(counts), np.sum(overlap, 0), np.sum(cover, 0)
  )


def per_image(contents: view_contents.Contents, name: str) -> np.ndarray:
  """[N], each image's mean of a quantity; NaN where it has no such view."""
  sums, counts = contents.sums[name], contents.counts[name]
  nothing = np.full(len(counts), np.nan)
  return np.divide(sums, counts, where=counts > 0, out=nothing)


def check(
  crop_range: crop_lib.CropRange, shown: view_contents.Shown, pairs: int
) -> None:
  """Raises UsageError if a setting is out of range."""
  (least, most), (narrow, wide) = crop_range
  for name, value, ok, expected in (
    ("area", (least, most), 0 < least <= most <= 1, "0 < min <= max <= 1"),
    ("aspect", (narrow, wide), 0 < narrow <= wide, "0 < min <= max"),
    ("pairs", pairs, pairs >= 1, "at least 1"),
    ("min_inside", shown.min_inside, 0 < shown.min_inside <= 1, "0 < it <= 1"),
    ("min_filled", shown.min_filled, 0 < shown.min_filled, "0 < it"),
  ):
    if not ok:
      raise errors.UsageError(
        f"{name}={value}: expected {expected}; change {name}"
      )


def mean(contents: view_contents.Contents, name: str) -> Mean:
  """The mean over all views or pairs, with its interval.

  The interval is 1.96 standard errors over images (of a ratio of sums, to first
  order), within what the quantity can be: it says what other images of the kind
  would give, and holds the simulation's own noise.

  Args:
    contents: of `simulate`.
    name: of `view_contents.MEANING`.
  """
  sums, counts = contents.sums[name], contents.counts[name]
  total = counts.sum()
  if not total:
    return Mean(np.nan, np.nan, np.nan)
  value = sums.sum() / total
  if len(sums) < 2:
    return Mean(float(value), np.nan, np.nan)
  residuals = sums - value * counts
  deviation = np.sqrt((residuals**2).sum() * len(sums) / (len(sums) - 1))
  margin = 1.96 * deviation / total
  return Mean(
    float(value),
    float(max(value - margin, 0.0)),
    float(min(value + margin, 1.0)),
  )


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


@functools.lru_cache(maxsize=32)
def sampler(
  crop_range: crop_lib.CropRange, num_windows: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  """Makes a function that draws windows; traced once, and then kept.

  Args:
    crop_range: what to draw from.
    num_windows: V, of each image.

  Returns:
    A function from the sizes [n, 2] int32 of images, height and width, and a
    seed [2] int64 to windows [n, V, 4] int32: ymin, xmin, height, width.
  """

  @functools.partial(tf.function, autograph=False)
  def draw(sizes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    regions = tf.pad(sizes, [[0, 0], [2, 0]])
    draws = crop_lib.draw(tf.shape(sizes)[0], num_windows, seed)
    return crop_lib.random_windows(
      regions, draws, crops=[crop_range] * num_windows
    )

  signature = (tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([2], tf.int64))
  return draw.get_concrete_function(*signature)
