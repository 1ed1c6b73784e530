"""Scenes composed of the objects of photos, with known boxes.

Scene i is a pure function of (seed, i) and the photos. Objects are cut out with
a margin that fades into the background; the background is a part of a photo
without an annotated object, continued by reflection. One object alone and
several in a scene are made in the same way, so that such sets differ in their
composition alone.
"""

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import cut_boxes

_ATTEMPTS = 50  # To find a place for an object.
_FADE = 0.1  # Width of an object's soft edge, as a share of its sides.
_MIN_STRIP = 24  # Shorter side of a part of a photo that is a background, px.
_ZOOMS = (1.0, 1.6)  # Of backgrounds.
# Of parts of photos in addition: they are small, and few repetitions should be
# seen.
_ZOOM_OF_STRIPS = 2.5
_SCENE, _ORDER = 0, 1  # Purposes of random numbers.


class Composition(NamedTuple):
  """How scenes are composed.

  Attributes:
    image_size: height and width of a scene, pixels.
    min_objects: smallest number of objects in a scene.
    max_objects: largest number of objects.
    min_scale: smallest length of a box's longer side, as a share of the scene's
      side.
    max_scale: largest length of it; lengths are uniform in their logarithm.
    max_overlap: largest part of the smaller of two boxes that the other covers.
    seed: seed of all scenes, >= 0.
  """

  image_size: int = 160
  min_objects: int = 2
  max_objects: int = 6
  min_scale: float = 0.2
  max_scale: float = 0.5
  max_overlap: float = 0.1
  seed: int = 0


class Photos(NamedTuple):
  """Where objects and backgrounds come from.

  Attributes:
    objects: K objects; `images.boxes` are their regions, with a margin.
    boxes: [K, 4] float32, their boxes in the photo, xmin, ymin, xmax, ymax.
    backgrounds: records of B parts of photos, whole ones if without `boxes`.
    zoom: smallest factor by which backgrounds are enlarged.
  """

  objects: cut_boxes.CutBoxes
  boxes: np.ndarray
  backgrounds: records_lib.ImageRecords
  zoom: float = 1.0


class Placed(NamedTuple):
  """An object in a scene.

  Attributes:
    row: row of the object, 0 to K - 1.
    region: xmin, ymin, xmax, ymax of its region in the scene, whole pixels; the
      margin may exceed the scene.
    box: xmin, ymin, xmax, ymax of its box in the scene, pixels.
  """

  row: int
  region: tuple[int, int, int, int]
  box: tuple[float, float, float, float]


class Layout(NamedTuple):
  """What is where in a scene.

  Attributes:
    background: row of the background, 0 to B - 1.
    zoom: factor by which the background is enlarged.
    shift: [2] float, part of the background that is shown, 0..1 in x and y.
    placed: objects from back to front; the largest are at the back.
    without_place: number of objects for which no place was found.
  """

  background: int
  zoom: float
  shift: tuple[float, float]
  placed: tuple[Placed, ...]
  without_place: int


def check(composition: Composition) -> None:
  """Raises UsageError if a setting is out of range."""
  c = composition
  errors.require(
    16 <= c.image_size <= 4096,
    f"--image_size={c.image_size}: expected 16 to 4096 pixels; change"
    " --image_size",
  )
  errors.require(
    1 <= c.min_objects <= c.max_objects,
    f"--min_objects={c.min_objects} --max_objects={c.max_objects}: expected"
    " 1 <= min_objects <= max_objects; change one of them",
  )
  errors.require(
    0 < c.min_scale <= c.max_scale <= 1,
    f"--min_scale={c.min_scale} --max_scale={c.max_scale}: expected"
    " 0 < min_scale <= max_scale <= 1; change one of them",
  )
  errors.require(
    0 <= c.max_overlap <= 1,
    f"--max_overlap={c.max_overlap}: expected 0 to 1; change --max_overlap",
  )
  errors.require(
    c.seed >= 0, f"--seed={c.seed}: expected 0 or more; change --seed"
  )


def photos(
  annotations: annotations_lib.Annotations,
  backgrounds: records_lib.ImageRecords | None = None,
  *,
  min_size: int = 32,
  margin: float = 0.1,
) -> Photos:
  """Selects objects and backgrounds of photos.

  Args:
    annotations: photos with boxes; crowds are no objects.
    backgrounds: photos to show behind the objects; None for the widest part
      beside the boxes of each annotated photo, of at least 24 px.
    min_size: smallest shorter side of an object's box, pixels.
    margin: margin around a box, as a share of its sides; it ends at the photo's
      border.

  Raises:
    UsageError: there is no object or no background.
  """
  objects = cut_boxes.cut(annotations, min_size=min_size, context=margin)
  boxes = annotations.boxes[objects.box_index]
  if backgrounds is None:
    return Photos(objects, boxes, _strips(annotations), _ZOOM_OF_STRIPS)
  return Photos(objects, boxes, backgrounds)


def layout(composition: Composition, given: Photos, index: int) -> Layout:
  """Lays out one scene; no photo is read.

  Objects are drawn without repetition until each was drawn.

  Args:
    composition: settings.
    given: objects and backgrounds.
    index: number of the scene, >= 0.
  """
  c = composition
  rng = np.random.default_rng([c.seed, _SCENE, index])
  background = int(rng.integers(given.backgrounds.num_images))
  zoom, *shift = rng.uniform((_ZOOMS[0], 0, 0), (_ZOOMS[1], 1, 1)).tolist()
  count = int(rng.integers(c.min_objects, c.max_objects + 1))
  total = len(given.boxes)
  slots = index * c.max_objects + np.arange(count)
  rows = [int(_order(c.seed, s // total, total)[s % total]) for s in slots]
  low, high = math.log(c.min_scale), math.log(c.max_scale)
  scales = np.exp(rng.uniform(low, high, count)) * c.image_size
  sides = given.boxes[rows, 2:] - given.boxes[rows, :2]
  factors = scales / sides.max(axis=1)
  areas = (sides * factors[:, np.newaxis]).prod(axis=1)
  placed: list[Placed] = []
  for i in np.argsort(-areas, kind="stable").tolist():
    found = _place(c, given, rows[i], float(factors[i]), placed, rng)
    if found is not None:
      placed.append(found)
  return Layout(
    background,
    given.zoom * zoom,
    tuple(shift),
    tuple(placed),
    count - len(placed),
  )


def draw(
  image_size: int,
  laid_out: Layout,
  background: np.ndarray,
  regions: list[np.ndarray | None],
) -> np.ndarray:
  """Draws a scene.

  Args:
    image_size: height and width, pixels.
    laid_out: layout of the scene.
    background: [H, W, 3] uint8, the background's part of its photo.
    regions: [h, w, 3] uint8, pixels of each placed object's region; None for an
      object that is left out.

  Returns:
    [image_size, image_size, 3] uint8.
  """
  scene = _backdrop(image_size, laid_out, background).astype(np.float32)
  for placed, pixels in zip(laid_out.placed, regions, strict=True):
    if pixels is None:
      continue
    xmin, ymin, xmax, ymax = placed.region
    size = (xmax - xmin, ymax - ymin)
    opacity = np.outer(_ramp(size[1]), _ramp(size[0]))[..., np.newaxis]
    left, top = max(xmin, 0), max(ymin, 0)
    inside = (
      slice(top - ymin, min(ymax, image_size) - ymin),
      slice(left - xmin, min(xmax, image_size) - xmin),
    )
    pixels, opacity = _resize(pixels, size)[inside], opacity[inside]
    height, width = pixels.shape[:2]
    behind = scene[top : top + height, left : left + width]
    behind += opacity * (pixels - behind)
  return np.uint8(np.clip(scene, 0, 255) + 0.5)


@functools.lru_cache(maxsize=4)
def _order(seed: int, turn: int, total: int) -> np.ndarray:
  """[K] order in which objects are drawn for the `turn`th time."""
  return np.random.default_rng([seed, _ORDER, turn]).permutation(total)


def _place(c, given, row, factor, placed, rng) -> Placed | None:
  """A place for an object of a size; None if none was found."""
  box = given.boxes[row].astype(np.float64)
  region = given.objects.images.boxes[row].astype(np.float64)
  width, height = (box[2:] - box[:2]) * factor
  # The region has whole pixels; its factors differ from `factor` by rounding.
  size = np.maximum(np.round((region[2:] - region[:2]) * factor), 1)
  scale = size / (region[2:] - region[:2])
  for _ in range(_ATTEMPTS):
    corner = rng.uniform(0, [c.image_size - width, c.image_size - height])
    start = np.round(corner - (box[:2] - region[:2]) * scale)
    low = start + (box[:2] - region[:2]) * scale
    high = start + (box[2:] - region[:2]) * scale
    found = np.clip([*low, *high], 0, c.image_size).tolist()
    if all(_covered(found, one.box) <= c.max_overlap for one in placed):
      return Placed(
        row, tuple(map(int, [*start, *(start + size)])), tuple(found)
      )
  return None


def _covered(first, second) -> float:
  """Part of the smaller box that the other covers."""
  width = min(first[2], second[2]) - max(first[0], second[0])
  height = min(first[3], second[3]) - max(first[1], second[1])
  areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
  return max(width, 0) * max(height, 0) / min(areas)


def _strips(
  annotations: annotations_lib.Annotations,
) -> records_lib.ImageRecords:
  """The widest part of each photo beside all its boxes, if wide enough."""
  count = annotations.num_images
  low = np.full([count, 2], np.inf)
  high = np.full([count, 2], -np.inf)
  np.minimum.at(low, annotations.image_index, annotations.boxes[:, :2])
  np.maximum.at(high, annotations.image_index, annotations.boxes[:, 2:])
  photos, parts = [], []
  for image in np.flatnonzero(np.isfinite(low[:, 0])).tolist():
    width, height = annotations.image_sizes[image].tolist()
    (left, top), (right, bottom) = np.floor(low[image]), np.ceil(high[image])
    candidates = [
      (0, 0, left, height),
      (right, 0, width, height),
      (0, 0, width, top),
      (0, bottom, width, height),
    ]
    part = max(candidates, key=lambda p: min(p[2] - p[0], p[3] - p[1]))
    if min(part[2] - part[0], part[3] - part[1]) >= _MIN_STRIP:
      photos.append(image)
      parts.append(part)
  errors.require(
    photos,
    f"{annotations.source}: no photo has a part of {_MIN_STRIP} px or more"
    " beside its boxes, for a background; give --backgrounds",
  )
  return records_lib.take(annotations.images, np.array(photos))._replace(
    boxes=np.array(parts, np.int32)
  )


def _backdrop(image_size, laid_out, pixels) -> np.ndarray:
  """[image_size, image_size, 3] uint8: a part, enlarged and reflected."""
  height, width = pixels.shape[:2]
  zoom = laid_out.zoom
  pixels = _resize(pixels, (round(width * zoom), round(height * zoom)))
  height, width = pixels.shape[:2]
  more = [(0, max(image_size - n, 0)) for n in (height, width)]
  pixels = np.pad(pixels, [*more, (0, 0)], "symmetric")
  top, left = (
    int(part * (n - image_size))
    for part, n in zip(laid_out.shift[::-1], pixels.shape, strict=False)
  )
  return pixels[top : top + image_size, left : left + image_size]


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Pixels in another size (width, height), without aliasing."""
  smaller = size[0] < pixels.shape[1]
  method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
  return cv2.resize(pixels, size, interpolation=method)


def _ramp(length: int) -> np.ndarray:
  """[length] opacity along a side, soft at both ends."""
  place = np.arange(length, dtype=np.float32) + 0.5
  part = np.minimum(place, length - place) / max(_FADE * length, 1)
  part = np.clip(part, 0, 1)
  return part * part * (3 - 2 * part)
