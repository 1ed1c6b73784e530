"""What pairs of windows of an image have in common, from its objects' boxes."""

from typing import NamedTuple

import numpy as np

from tf_ssl.dataset_bias import object_boxes

# What is measured, in the order of tables, and what it means.
MEANING = {
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
}
OVERLAP_BINS = 20
COVER_BINS = 8  # eighths, as GOT-10k tells occlusion


class Shown(NamedTuple):
  """When an object counts as shown in a view.

  Either is enough: a small object is shown where enough of it is inside, a
  large one also where the view looks at a part of it. Both are choices of this
  project.

  Attributes:
    min_inside: least share of the object's box that lies in the view, above 0,
      at most 1.
    min_filled: least share of the view that the object's box takes up, above 0;
      above 1 for never.
  """

  min_inside: float = 0.5
  min_filled: float = 0.5


class Contents(NamedTuple):
  """What the views of N images show, summed up.

  Attributes:
    sums: for each name of `MEANING` [N] float64: the sum of that quantity over
      an image's views or pairs.
    counts: for each name [N] float64: over how many views or pairs.
    overlap: [OVERLAP_BINS], how many pairs have which overlap, 0 to 1.
    cover: [COVER_BINS], how many of the views that show the main object show
      how much of it, 0 to 1.
  """

  sums: dict[str, np.ndarray]
  counts: dict[str, np.ndarray]
  overlap: np.ndarray
  cover: np.ndarray


def contents(
  objects: object_boxes.ObjectBoxes, windows: np.ndarray, shown: Shown
) -> Contents:
  """Looks which objects views show, and what the two of a pair share.

  Args:
    objects: of N images, every one with at least one.
    windows: [N, 2 P, 4] int, ymin, xmin, height, width in pixels; windows p and
      P + p are a pair.
    shown: when an object counts as shown.
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
    is_shown |= common >= view[image]  # [o, V]
  in_both = is_shown[:, :pairs] & is_shown[:, pairs:]
  empty = ~_any(is_shown, first)  # [n, V]

  main = object_boxes.main_objects(objects)
  main_shown = is_shown[main]
  main_in_both = in_both[main]
  visible = common[main] / areas[main]
  hidden = np.where(main_shown, 1 - visible, 0)
  difference = np.abs(hidden[:, :pairs] - hidden[:, pairs:]) * main_in_both

  # Of equal ones, as where two boxes fill a view, any may be foremost.
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


def _common(boxes, image, x0, y0, width, height) -> np.ndarray:
  """[o, V]: pixels that objects and the windows of their images share."""
  sides = []
  for low, extent, axis in ((x0, width, 0), (y0, height, 1)):
    side = np.minimum((low + extent)[image], boxes[:, axis + 2, None])
    side -= np.maximum(low[image], boxes[:, axis, None])
    sides.append(np.maximum(side, 0, out=side))
  return np.multiply(*sides, out=sides[0])


def _overlap(low: np.ndarray, extent: np.ndarray, pairs: int) -> np.ndarray:
  """[n, P]: length that the views of each pair share along one axis."""
  high = low + extent
  end = np.minimum(high[:, :pairs], high[:, pairs:])
  return np.maximum(end - np.maximum(low[:, :pairs], low[:, pairs:]), 0)


def _any(values: np.ndarray, first: np.ndarray) -> np.ndarray:
  """[o, ...] bool -> [n, ...]: whether any of each image's objects."""
  return np.logical_or.reduceat(values, first, axis=0)


def _same_class(objects, is_shown, pairs) -> np.ndarray:
  """[n, P]: whether the views of a pair show a class in common."""
  image = objects.image
  order = np.lexsort([objects.classes, image])
  keys = np.stack([image, objects.classes])[:, order]
  begins = np.append(True, (np.diff(keys) != 0).any(0))
  first = np.flatnonzero(begins)  # of each image's classes
  of_class = _any(is_shown[order], first)
  both = of_class[:, :pairs] & of_class[:, pairs:]
  return _any(
    both, np.searchsorted(keys[0][first], np.arange(len(objects.sizes)))
  )
