"""What two random crops of an image have in common, simulated over boxes.

Only the boxes of the objects are needed; no image is read.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import crop as crop_lib
from tf_ssl.dataset_bias import crop_samplers, object_boxes
from tf_ssl.models import feature_extractor

# Measured quantities, in the order of the tables, and their meanings.
QUANTITIES = {
  "same_object": "two views show at least one object in common",
  "same_class": "two views show at least one class in common",
  "main_in_both": "two views both show the main object, the image's largest",
  "same_foremost": "the object that takes up most of each view is the same",
  "no_object": "neither of two views shows any object",
  "empty_view": "a view shows no object",
  "overlap": "intersection over union of two views",
  "main_hidden": "share of the main object that a view which shows it cuts off",
  "main_hidden_difference": (
    "how much that share differs between two views which both show it"
  ),
  "background": "share of a view outside of all objects' boxes",
}
OVERLAP_BINS = 20
COVER_BINS = 8  # Eighths, the unit of GOT-10k's occlusion labels.
_IMAGES_PER_CHUNK = 128
_CELLS = 32  # Of an image along each axis, to measure what boxes cover.
_Z_95 = 1.96  # Half width of a normal 95 % interval, in standard errors.


class Shown(NamedTuple):
  """Rule that decides whether a view shows an object; either half suffices.

  A small object is shown where enough of it lies inside the view, a large one
  also where it fills enough of the view. Both thresholds are choices of this
  project.

  Attributes:
    min_inside: smallest share of the object's box inside the view, above 0, at
      most 1.
    min_filled: smallest share of the view that the object's box fills, above 0;
      above 1 for never.
  """

  min_inside: float = 0.5
  min_filled: float = 0.5


class Contents(NamedTuple):
  """Sums over what the views of N images show.

  Attributes:
    sums: {quantity: [N] float64}, sum of each of `QUANTITIES` over the views or
      pairs of an image.
    counts: {quantity: [N] float64}, number of views or pairs in that sum.
    overlap: [OVERLAP_BINS] int, number of pairs by intersection over union, in
      equal bins from 0 to 1.
    cover: [COVER_BINS] int, number of views that show the main object, by the
      share of it that they show, in equal bins from 0 to 1.
  """

  sums: dict[str, np.ndarray]
  counts: dict[str, np.ndarray]
  overlap: np.ndarray
  cover: np.ndarray


class Mean(NamedTuple):
  """Mean over views and its 95 % interval over images; NaN if undefined."""

  value: float
  low: float
  high: float


def simulate(
  objects: object_boxes.ObjectBoxes,
  crop_range: crop_lib.CropRange,
  *,
  cropping: crop_samplers.Cropping | None = None,
  pairs: int = 64,
  seed: int = 0,
  shown: Shown | None = None,
  progress: Callable[[int], object] = lambda images: None,
) -> Contents:
  """Draws pairs of crops of every image and records which objects they show.

  Args:
    objects: boxes of images that each have at least one object.
    crop_range: areas and aspect ratios of both views.
    cropping: cropper of both views; None for windows anywhere in the image.
    pairs: P, number of pairs of views drawn from each image.
    seed: seed of the random crops. One seed gives similar crops for different
      ranges, so differences between recipes are less noisy than their values.
    shown: rule for shown objects; None for the defaults.
    progress: called with the number of images finished since its last call.

  Raises:
    UsageError: a setting is out of range, there is no image, or an image has no
      object.
  """
  shown = shown or Shown()
  check(crop_range, shown, pairs)
  if not objects.num_images or not objects.counts.all():
    raise errors.UsageError(
      f"{objects.num_images} images, {int((objects.counts == 0).sum())} of them"
      " without an object; expected at least one image, and objects in each"
    )
  starts = range(0, objects.num_images, _IMAGES_PER_CHUNK)
  # One function for all chunks, so that TensorFlow traces it once.
  if cropping is None:
    draw = crop_samplers.sampler(crop_range, 2 * pairs)
  else:
    draw = crop_samplers.box_sampler(crop_range, pairs, cropping)

  def one(start: int) -> Contents:
    stop = min(start + _IMAGES_PER_CHUNK, objects.num_images)
    part = objects.take(np.arange(start, stop))
    boxes = () if cropping is None else crop_samplers.usable(part, cropping)
    windows = draw(
      part.sizes, *boxes, tf.constant([seed, start], tf.int64)
    ).numpy()
    result = contents(part, windows, shown)
    progress(stop - start)
    return result

  parts = list(feature_extractor.map_ahead(one, starts))
  sums, counts, overlap, cover = zip(*parts, strict=True)
  return Contents(
    _joined(sums), _joined(counts), np.sum(overlap, 0), np.sum(cover, 0)
  )


def contents(
  objects: object_boxes.ObjectBoxes, windows: np.ndarray, shown: Shown
) -> Contents:
  """Records which objects given views show and what each pair has in common.

  Args:
    objects: boxes of N images that each have at least one object.
    windows: [N, 2 P, 4] int, ymin, xmin, height, width in pixels; windows p and
      P + p form a pair.
    shown: rule for shown objects.
  """
  y0, x0, height, width = np.moveaxis(windows, -1, 0).astype(np.float32)
  pairs = windows.shape[1] // 2
  first, image = objects.offsets[:-1], objects.image
  common = _common(
    objects.boxes.astype(np.float32), image, x0, y0, width, height
  )
  areas = objects.areas.astype(np.float32)[:, None]
  is_shown = common >= np.float32(shown.min_inside) * areas
  if shown.min_filled <= 1:
    view = np.float32(shown.min_filled) * (width * height)
    is_shown |= common >= view[image]  # [O, V]
  in_both = is_shown[:, :pairs] & is_shown[:, pairs:]
  empty = ~_any(is_shown, first)  # [N, V]

  main = object_boxes.main_objects(objects)
  main_shown = is_shown[main]
  main_in_both = in_both[main]
  visible = common[main] / areas[main]
  hidden = np.where(main_shown, 1 - visible, 0)
  difference = np.abs(hidden[:, :pairs] - hidden[:, pairs:]) * main_in_both

  # Where two boxes fill a view, either may be the foremost.
  taken = np.where(is_shown, common, -1)
  most = np.maximum.reduceat(taken, first, axis=0)[image]
  foremost = (taken == most) & is_shown
  sides = [(x0, width), (y0, height)]
  both = np.prod([_overlap(a, n, pairs) for a, n in sides], axis=0)
  area = width * height
  overlap = both / (area[:, :pairs] + area[:, pairs:] - both)
  values = {
    "same_object": _any(in_both, first),
    "same_class": _same_class(objects, is_shown, pairs),
    "main_in_both": main_in_both,
    "same_foremost": _any(foremost[:, :pairs] & foremost[:, pairs:], first),
    "no_object": empty[:, :pairs] & empty[:, pairs:],
    "empty_view": empty,
    "overlap": overlap,
    "main_hidden": hidden,
    "main_hidden_difference": difference,
    "background": _background(objects, y0, x0, height, width),
  }
  sums = {name: v.sum(1, dtype=np.float64) for name, v in values.items()}
  counts = {
    name: np.full(len(v), v.shape[1], np.float64) for name, v in values.items()
  }
  counts["main_hidden"] = main_shown.sum(1, dtype=np.float64)
  counts["main_hidden_difference"] = main_in_both.sum(1, dtype=np.float64)
  return Contents(
    sums,
    counts,
    np.histogram(overlap, OVERLAP_BINS, (0, 1))[0],
    np.histogram(visible[main_shown], COVER_BINS, (0, 1))[0],
  )


def per_image(contents: Contents, name: str) -> np.ndarray:
  """[N] float64: mean of a quantity in each image; NaN where undefined."""
  sums, counts = contents.sums[name], contents.counts[name]
  nothing = np.full(len(counts), np.nan)
  return np.divide(sums, counts, where=counts > 0, out=nothing)


def check(crop_range: crop_lib.CropRange, shown: Shown, pairs: int) -> None:
  """Raises UsageError for a setting that is out of range."""
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


def mean(contents: Contents, name: str) -> Mean:
  """The mean over all views or pairs, with its interval.

  The interval covers 1.96 standard errors over images (of a ratio of sums, to
  first order), clipped to 0..1. It describes what other images of this kind
  would give and includes the noise of the simulation.

  Args:
    contents: result of `simulate`.
    name: name of one of `QUANTITIES`.
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
  margin = _Z_95 * deviation / total
  return Mean(
    float(value),
    float(max(value - margin, 0.0)),
    float(min(value + margin, 1.0)),
  )


def _background(
  objects: object_boxes.ObjectBoxes, y0, x0, height, width
) -> np.ndarray:
  """[N, V]: share of each window outside of all boxes of its image.

  Each image is divided into cells, which a box covers or not, by their centers.
  Sums over windows come from sums over all cells before a point, linear inside
  a cell.
  """
  count, image, cells = objects.num_images, objects.image, _CELLS
  scale = cells / objects.sizes[:, ::-1].astype(np.float64)  # x, y
  edges = np.ceil(objects.boxes * np.tile(scale[image], 2) - 0.5)
  edges = edges.astype(np.int64).clip(0, cells)
  # Low, high: +1; mixed: -1.
  ys, xs = edges[:, [1, 3, 1, 3]], edges[:, [0, 2, 2, 0]]
  steps = np.bincount(
    (((image * (cells + 1))[:, None] + ys) * (cells + 1) + xs).ravel(),
    np.tile([1.0, 1.0, -1.0, -1.0], len(image)),
    count * (cells + 1) ** 2,
  ).reshape(count, cells + 1, cells + 1)
  covered = steps.cumsum(1).cumsum(2)[:, :-1, :-1] > 0
  sums = np.zeros([count, cells + 1, cells + 1], np.float32)
  covered.cumsum(1, dtype=np.float32).cumsum(2, out=sums[:, 1:, 1:])
  flat = sums.reshape(-1)
  start = np.arange(count)[:, None] * (cells + 1) ** 2

  def split(places, axis):
    """Cell and position inside it of [N, V] places along an axis."""
    places = places * scale[:, axis, None].astype(np.float32)
    cell = np.minimum(places.astype(np.int64), cells - 1)
    return cell, places - cell

  rows = [split(y, 1) for y in (y0, y0 + height)]
  columns = [split(x, 0) for x in (x0, x0 + width)]
  inside = np.zeros(y0.shape, np.float32)
  for (y, a), row_sign in zip(rows, (-1, 1), strict=True):
    base = start + y * (cells + 1)
    for (x, b), sign in zip(columns, (-row_sign, row_sign), strict=True):
      at = base + x
      corners = (flat.take(at + i) for i in (0, 1, cells + 1, cells + 2))
      top = next(corners) * (1 - b) + next(corners) * b
      bottom = next(corners) * (1 - b) + next(corners) * b
      inside += sign * (top * (1 - a) + bottom * a)
  area = height * width * np.prod(scale, axis=1)[:, None].astype(np.float32)
  return (1 - inside / area).clip(0, 1)


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _common(boxes, image, x0, y0, width, height) -> np.ndarray:
  """[O, V]: area shared by each object and each window of its image, px²."""
  sides = []
  for low, extent, axis in ((x0, width, 0), (y0, height, 1)):
    side = np.minimum((low + extent)[image], boxes[:, axis + 2, None])
    side -= np.maximum(low[image], boxes[:, axis, None])
    sides.append(np.maximum(side, 0, out=side))
  return np.multiply(*sides, out=sides[0])


def _overlap(low: np.ndarray, extent: np.ndarray, pairs: int) -> np.ndarray:
  """[N, P]: length that the views of each pair share along one axis, px."""
  high = low + extent
  end = np.minimum(high[:, :pairs], high[:, pairs:])
  return np.maximum(end - np.maximum(low[:, :pairs], low[:, pairs:]), 0)


def _any(values: np.ndarray, first: np.ndarray) -> np.ndarray:
  """[O, ...] bool -> [N, ...]: whether it holds for any object of an image."""
  return np.logical_or.reduceat(values, first, axis=0)


def _same_class(objects, is_shown, pairs) -> np.ndarray:
  """[N, P]: whether the views of a pair show a class in common."""
  image = objects.image
  order = np.lexsort([objects.classes, image])
  keys = np.stack([image, objects.classes])[:, order]
  begins = np.append(True, (np.diff(keys) != 0).any(0))
  first = np.flatnonzero(begins)  # First row of each (image, class).
  of_class = _any(is_shown[order], first)
  both = of_class[:, :pairs] & of_class[:, pairs:]
  return _any(
    both, np.searchsorted(keys[0][first], np.arange(len(objects.sizes)))
  )
