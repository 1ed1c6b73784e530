"""Boxes in typed columns, so that millions of them stay small."""

from array import array
from typing import NamedTuple

import numpy as np


class Columns(NamedTuple):
  """M boxes, as `annotations.Annotations` has them."""

  boxes: np.ndarray
  class_ids: np.ndarray
  image_index: np.ndarray
  crowd: np.ndarray
  difficult: np.ndarray
  areas: np.ndarray


class BoxRows:
  """Boxes in the order in which they are added."""

  def __init__(self):
    """Starts without boxes."""
    self._corners, self._areas = array("f"), array("f")
    self._images, self._class_ids = array("q"), array("i")
    self._crowd, self._difficult = array("b"), array("b")

  def __len__(self) -> int:
    """Number of boxes."""
    return len(self._images)

  @property
  def largest(self) -> float:
    """Largest coordinate of all boxes, pixels; 0 without boxes."""
    return float(np.max(np.array(self._corners, np.float32), initial=0))

  def append(
    self,
    image: int,
    class_id: int,
    corners: tuple[float, float, float, float],
    crowd: bool,
    difficult: bool,
    area: float,
  ) -> None:
    """Adds a box; the arguments are those of `collector.Collector.add_box`."""
    self._images.append(image)
    self._class_ids.append(class_id)
    self._corners.extend(corners)
    self._crowd.append(crowd)
    self._difficult.append(difficult)
    self._areas.append(area)

  def extend(
    self,
    images: np.ndarray,
    class_ids: np.ndarray,
    corners: np.ndarray,
    crowd: np.ndarray,
  ) -> None:
    """Adds boxes of objects that are not difficult and give no area.

    Args:
      images: [M] index of the image of each box.
      class_ids: [M] class of each object.
      corners: [M, 4] xmin, ymin, xmax, ymax in pixels.
      crowd: [M] whether a box covers a group of objects.
    """
    sides = corners[:, 2:] - corners[:, :2]
    for column, values in (
      (self._images, images),
      (self._class_ids, class_ids),
      (self._corners, corners),
      (self._crowd, crowd),
      (self._difficult, np.zeros(len(images))),
      (self._areas, sides[:, 0] * sides[:, 1]),
    ):
      column.frombytes(np.asarray(values, column.typecode).tobytes())

  def columns(self) -> Columns:
    """Returns the boxes in the order of their images."""
    image_index = np.array(self._images, np.int64)
    order = np.argsort(image_index, kind="stable")
    return Columns(
      boxes=np.array(self._corners, np.float32).reshape(-1, 4)[order],
      class_ids=np.array(self._class_ids, np.int32)[order],
      image_index=image_index[order],
      crowd=np.array(self._crowd, bool)[order],
      difficult=np.array(self._difficult, bool)[order],
      areas=np.array(self._areas, np.float32)[order],
    )
