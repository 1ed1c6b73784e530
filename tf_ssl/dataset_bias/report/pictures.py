"""Example images of a report, with their objects and two random views."""

from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from tf_ssl.dataset_bias import crop_samplers, crop_statistics, object_boxes
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias.report import summary
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.ops import jpeg
from tf_ssl.reporting import charts

EXAMPLES = 6
_HEIGHT = 230  # px, height of a drawn image.
_GAP = 6  # px
_MAIN, _OTHER = (230, 159, 0), (150, 150, 150)
_VIEWS = ((0, 114, 178), (204, 121, 167))
_BORDER = 4  # px, around a view.


class Example(NamedTuple):
  """A picture of an image, its objects and two views.

  Attributes:
    caption: description of the picture.
    picture: JPEG bytes.
  """

  caption: str
  picture: bytes


def examples(diagnosis: diagnosis_lib.Diagnosis) -> list[Example]:
  """Draws images whose views agree between least and most often.

  They are evenly spaced in the order of how often two views show the same
  object foremost. Images that cannot be read are left out.
  """
  dataset, described = diagnosis.dataset, diagnosis.own
  share = crop_statistics.per_image(described.contents, "same_foremost")
  order = np.argsort(share, kind="stable")
  places = np.linspace(0, len(order) - 1, min(EXAMPLES, len(order)))
  draw = crop_samplers.sampler(diagnosis.settings.crop, 2)
  found = []
  for place in order[places.round().astype(int)].tolist():
    image = int(described.inhabited[place])
    objects = dataset.objects.take([image])
    seed = [diagnosis.settings.seed + 1, image]
    windows = draw(objects.sizes, tf.constant(seed, tf.int64)).numpy()
    pixels = _read(dataset.images, image)
    if pixels is None or pixels.shape[:2] != tuple(objects.sizes[0]):
      continue
    contents = crop_statistics.contents(
      objects, windows, diagnosis.settings.shown
    )
    found.append(
      Example(
        f"{dataset.images.name(image)}: {_describe(contents)}; "
        f"{summary.percent(share[place])} of all pairs of its views show the "
        "same object foremost",
        jpeg.encode(_draw(pixels, objects, windows[0]), quality=85),
      )
    )
  return found


def _read(records, image: int) -> np.ndarray | None:
  try:
    encoded = loading.read_encoded(records, image)
    return decoding.decode_bytes(encoded)
  except Exception:  # Readers raise various errors on damaged files.
    return None


def _describe(contents: crop_statistics.Contents) -> str:
  """Describes what one pair of views of one image shows."""
  if contents.sums["same_foremost"][0]:
    return "these two views show the same object foremost"
  if contents.sums["same_object"][0]:
    return "these two views share an object, but another one is foremost"
  if contents.sums["no_object"][0]:
    return "neither of these views shows an object"
  return "these two views have no object in common"


def _draw(
  pixels: np.ndarray, objects: object_boxes.ObjectBoxes, windows: np.ndarray
) -> np.ndarray:
  """[H, W, 3] uint8: the image with boxes and windows, then both views."""
  scale = _HEIGHT / pixels.shape[0]
  size = (max(round(pixels.shape[1] * scale), 1), _HEIGHT)
  image = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
  main = object_boxes.main_objects(objects)[0]
  order = [i for i in range(len(objects.boxes)) if i != main] + [main]
  for row in order:
    corners = objects.boxes[row] * scale
    _outline(image, corners, _MAIN if row == main else _OTHER)
  parts = [image]
  for (y, x, height, width), color in zip(windows, _VIEWS, strict=True):
    corners = np.array([x, y, x + width, y + height]) * scale
    _outline(image, corners, color, thickness=3)
    view = pixels[y : y + height, x : x + width]
    side = _HEIGHT - 2 * _BORDER  # Training resizes every view to a square.
    view = cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA)
    borders = [_BORDER] * 4
    parts.append(
      cv2.copyMakeBorder(view, *borders, cv2.BORDER_CONSTANT, None, color)
    )
  return charts.side_by_side(parts, gap=_GAP)


def _outline(picture, corners, color, thickness: int = 2) -> None:
  xmin, ymin, xmax, ymax = np.rint(corners).astype(int).tolist()
  cv2.rectangle(picture, (xmin, ymin), (xmax - 1, ymax - 1), color, thickness)
