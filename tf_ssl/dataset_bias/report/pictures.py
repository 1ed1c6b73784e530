"""Images of a report with their objects, and two views that were drawn."""

from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from tf_ssl.dataset_bias import (
  crop_statistics,
  object_boxes,
  verdict,
  view_contents,
)
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.ops import jpeg

EXAMPLES = 6
_HEIGHT = 230  # px of a drawn image
_GAP = 6
_MAIN, _OTHER = (230, 159, 0), (150, 150, 150)
_VIEWS = ((0, 114, 178), (204, 121, 167))


class Example(NamedTuple):
  """A picture of an image, of its objects, and of two views.

  Attributes:
    caption: what it shows, in words.
    picture: JPEG.
  """

  caption: str
  picture: bytes


def examples(diagnosis: diagnosis_lib.Diagnosis) -> list[Example]:
  """A few images, from those whose views seldom to those that always agree.

  They lie at equal distances in the order of how often both views are foremost
  of the same object; one that cannot be read is left out.
  """
  subject, described = diagnosis.subject, diagnosis.own
  share = crop_statistics.per_image(described.contents, "same_foremost")
  order = np.argsort(share, kind="stable")
  places = np.linspace(0, len(order) - 1, min(EXAMPLES, len(order)))
  draw = crop_statistics.sampler(diagnosis.settings.crop, 2)
  found = []
  for place in order[places.round().astype(int)].tolist():
    image = int(described.inhabited[place])
    objects = subject.objects.take([image])
    seed = [diagnosis.settings.seed + 1, image]
    windows = draw(objects.sizes, tf.constant(seed, tf.int64)).numpy()
    pixels = _read(subject.images, image)
    if pixels is None or pixels.shape[:2] != tuple(objects.sizes[0]):
      continue
    contents = view_contents.contents(
      objects, windows, diagnosis.settings.shown
    )
    found.append(
      Example(
        f"{subject.images.name(image)}: {_in_words(contents)}; foremost of the "
        f"same object are {verdict.percent(share[place])} of all its pairs",
        jpeg.encode(_draw(pixels, objects, windows[0]), quality=85),
      )
    )
  return found


def _read(records, image: int) -> np.ndarray | None:
  try:
    encoded = loading.read_encoded(records, image)
    return decoding.decode(tf.constant(encoded)).numpy()
  except (OSError, EOFError, KeyError, tf.errors.OpError):
    return None


def _in_words(contents: view_contents.Contents) -> str:
  """What one pair of views of one image shows."""
  if contents.sums["same_foremost"][0]:
    return "the two views are foremost of the same object"
  if contents.sums["same_object"][0]:
    return "the two views share an object, but another one is foremost"
  if contents.sums["no_object"][0]:
    return "neither view shows an object"
  return "the two views have no object in common"


def _draw(
  pixels: np.ndarray, objects: object_boxes.ObjectBoxes, windows: np.ndarray
) -> np.ndarray:
  """[h, w, 3] uint8: the image with boxes and windows, then both views."""
  scale = _HEIGHT / pixels.shape[0]
  whole = _resized(pixels, scale)
  main = object_boxes.main_objects(objects)[0]
  order = [i for i in range(len(objects.boxes)) if i != main] + [main]
  for row in order:
    corners = objects.boxes[row] * scale
    _frame(whole, corners, _MAIN if row == main else _OTHER)
  parts = []
  for (y, x, height, width), color in zip(windows, _VIEWS, strict=True):
    corners = np.array([x, y, x + width, y + height]) * scale
    _frame(whole, corners, color, thickness=3)
    view = pixels[y : y + height, x : x + width]
    side = _HEIGHT - 8  # Training resizes every view to a square.
    view = cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA)
    border = [cv2.BORDER_CONSTANT, None, color]
    parts.append(cv2.copyMakeBorder(view, 4, 4, 4, 4, *border))
  gap = np.full([_HEIGHT, _GAP, 3], 255, np.uint8)
  return np.concatenate([whole, gap, parts[0], gap, parts[1]], axis=1)


def _resized(pixels: np.ndarray, scale: float) -> np.ndarray:
  size = (max(round(pixels.shape[1] * scale), 1), _HEIGHT)
  return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _frame(picture, corners, color, thickness: int = 2) -> None:
  xmin, ymin, xmax, ymax = np.rint(corners).astype(int).tolist()
  cv2.rectangle(picture, (xmin, ymin), (xmax - 1, ymax - 1), color, thickness)
