"""Sets of images in which one factor varies, to measure invariance on.

Nothing is decoded here. All readers of such data return `InvarianceSets`.
"""

import hashlib
import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_ssl.datasets import missing, records
from tf_ssl.ops import names, spelling

# Purushwalkam & Gupta 2020, section 3.
OF_THE_PAPER = (
  "occlusion",
  "viewpoint",
  "illumination_direction",
  "illumination_colour",
  "instance",
  "instance_viewpoint",
)
INVARIANCES = (
  *OF_THE_PAPER,
  "background",
  "position",
  "scale",
  "rotation",
)


class InvarianceSets(NamedTuple):
  """N images in sets; within a set, only the factor of the invariance varies.

  Attributes:
    source: name of the dataset, such as "ALOI".
    invariance: name of the invariance: one of `INVARIANCES` or the user's own.
    images: records of the N images. `boxes` are the regions to crop; None for
      full images.
    sets: [N] int32 from 0, the set T(z) that each image belongs to.
    classes: [N] int32 from 0, the class of each image's set.
    set_names: name of each set.
    class_names: name of each class.
    factor: [N] float64, value of the factor; NaN if it has none.
    factor_name: name of the factor, such as "angle"; "" if `factor` is all NaN.
    factor_unit: unit of the factor, such as "degrees"; "" if it has none.
    factor_period: period of a cyclic factor, such as 360; None if it is not
      cyclic.
    image_size: H and W that images, or crops, are resized to, without keeping
      the aspect ratio.
    skipped: names of skipped inputs, by reason.
    targets: [N, T] float64, coordinates of the factor that a linear map could
      predict, such as the direction of a light; NaN if unknown. None for those
      that follow from `factor`, see `invariance.decoding.targets`.
    backgrounds: records of the backgrounds without an object; None if unknown.
    background_of: [N] int64, index in `backgrounds` of what is behind each
      image's object; None if unknown.
    levels: [N] int32, for sets of a picture and its altered versions, 0 for the
      picture as it is and i for its version of the i-th strength; None for all
      other sets.
  """

  source: str
  invariance: str
  images: records.ImageRecords
  sets: np.ndarray
  classes: np.ndarray
  set_names: tuple[str, ...]
  class_names: tuple[str, ...]
  factor: np.ndarray
  factor_name: str
  factor_unit: str
  factor_period: float | None
  image_size: int
  skipped: Mapping[str, tuple[str, ...]]
  targets: np.ndarray | None = None
  backgrounds: records.ImageRecords | None = None
  background_of: np.ndarray | None = None
  levels: np.ndarray | None = None

  @property
  def cropped(self) -> bool:
    """Whether images are cropped to their boxes."""
    return self.images.boxes is not None

  def digest(self) -> str:
    """SHA-256 of names, sizes, boxes, sets and classes of the images.

    Images are not read. Moving a folder does not change its digest.
    """
    images, lines = self.images, []
    for i in range(images.num_images):
      box = "" if images.boxes is None else ",".join(map(str, images.boxes[i]))
      set_name = self.set_names[self.sets[i]]
      class_name = self.class_names[self.classes[i]]
      parts = (images.name(i), images.sizes[i], box, set_name, class_name)
      lines.append("\0".join(map(str, parts)))
    text = "\n".join(sorted(lines))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Collector:
  """Collects images one by one and numbers their sets and classes."""

  def __init__(self, root: str):
    """Starts without images; paths are relative to the folder `root`."""
    self.root = os.path.abspath(root)
    self._skipped: dict[str, list[str]] = {}
    self._files: list[bytes] = []
    self._sizes: list[int] = []
    self._sets: dict[str, int] = {}
    self._classes: dict[str, int] = {}
    self._rows: list[tuple[int, int, float]] = []
    self._boxes: list[tuple[int, ...]] = []
    self._targets: list[tuple[float, ...]] = []

  def skip(self, reason: str, name: str) -> None:
    """Records a skipped input by reason."""
    self._skipped.setdefault(reason, []).append(name)

  def add(
    self,
    file: str,
    *,
    set_name: str,
    class_name: str,
    value: float = math.nan,
    box: tuple[int, int, int, int] | None = None,
    target: tuple[float, ...] = (),
  ) -> None:
    """Adds an image, or skips it if its file is missing.

    Args:
      file: path relative to the root.
      set_name: unique name of its set.
      class_name: unique name of its class.
      value: value of the factor.
      box: region to crop, see `records.ImageRecords.boxes`.
      target: coordinates of the factor, see `InvarianceSets.targets`; as many
        for each image.
    """
    file = spelling.on_disk(self.root, file)
    try:
      size = os.stat(os.path.join(self.root, file)).st_size
    except (OSError, ValueError):  # ValueError: a null character.
      self.skip("no such image", file)
      return
    self._files.append(os.fsencode(file))
    self._sizes.append(size)
    self._rows.append(
      (
        self._sets.setdefault(set_name, len(self._sets)),
        self._classes.setdefault(class_name, len(self._classes)),
        value,
      )
    )
    self._boxes.append((-1,) * 4 if box is None else box)
    self._targets.append(target)

  def build(
    self,
    *,
    source: str,
    invariance: str,
    image_size: int,
    expected: str,
    factor: tuple[str, str, float | None] = ("", "", None),
  ) -> InvarianceSets:
    """Returns the collected images.

    Args:
      source: name of the dataset.
      invariance: name of the invariance.
      image_size: H and W that images, or crops, are resized to.
      expected: files that the dataset should have, where to get them, and the
        setting to change.
      factor: name, unit and period of the factor.

    Raises:
      UsageError: there is no image.
    """
    if not self._files:
      raise missing.no_images(source, self.root, expected, self._skipped)
    sets, classes, values = zip(*self._rows, strict=True)
    boxes = np.array(self._boxes, np.int32)
    return InvarianceSets(
      source=source,
      invariance=invariance,
      images=records.ImageRecords(
        self.root,
        np.array(self._files),
        np.array(self._sizes, np.int64),
        boxes=boxes if (boxes[:, 0] >= 0).any() else None,
      ),
      sets=np.array(sets, np.int32),
      classes=np.array(classes, np.int32),
      set_names=tuple(map(names.of_class, self._sets)),
      class_names=tuple(map(names.of_class, self._classes)),
      factor=np.array(values, np.float64),
      factor_name=factor[0],
      factor_unit=factor[1],
      factor_period=factor[2],
      image_size=image_size,
      skipped={name: tuple(of) for name, of in self._skipped.items()},
      targets=np.array(self._targets, np.float64) if self._targets[0] else None,
    )


def pixel_box(
  xmin: float, ymin: float, xmax: float, ymax: float
) -> tuple[int, int, int, int] | None:
  """Rounds a box to pixels, clipped at 0.

  Args:
    xmin: left edge in pixels.
    ymin: top edge in pixels.
    xmax: right edge in pixels, exclusive.
    ymax: bottom edge in pixels, exclusive.

  Returns:
    xmin, ymin, xmax, ymax; None if the box is empty or not finite.
  """
  sides = (xmin, ymin, xmax, ymax)
  if not all(math.isfinite(side) and abs(side) < 2**31 - 1 for side in sides):
    return None
  xmin, ymin, xmax, ymax = (max(0, round(side)) for side in sides)
  return (xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None
