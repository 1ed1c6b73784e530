"""Sets of images in which one thing changes: what invariance is measured on.

Nothing is decoded here. Every reader of such data returns `InvarianceSets`.
"""

import hashlib
import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_ssl.datasets import missing, records

# Purushwalkam & Gupta 2020, section 3.
OF_THE_PAPER = (
  "occlusion",
  "viewpoint",
  "illumination_direction",
  "illumination_colour",
  "instance",
  "instance_viewpoint",
)
INVARIANCES = (*OF_THE_PAPER, "background", "position", "scale")


class InvarianceSets(NamedTuple):
  """N images in sets; within a set only what the invariance is to changes.

  Attributes:
    source: what the images are, such as "ALOI".
    invariance: to what, one of `INVARIANCES` or a name of the user's own.
    images: the N images. Its `boxes` are the regions to crop; where they are
      None, whole images are used.
    sets: [N] int32 from 0, the set T(z) that each image belongs to.
    classes: [N] int32 from 0, the class of each image's set.
    set_names: name of each set.
    class_names: name of each class.
    factor: [N] float64, the value of what changes; NaN where it has none.
    factor_name: what `factor` is, such as "angle"; "" where it is all NaN.
    factor_unit: such as "degrees"; "" where it has none.
    factor_period: 360 where 350 is as near to 0 as 10 is; None for a line.
    image_size: H and W that images, or crops, are resized to; aspect is not
      kept.
    skipped: from reasons to the names of what was left out.
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

  @property
  def cropped(self) -> bool:
    """Whether images are cropped to their boxes."""
    return self.images.boxes is not None

  def digest(self) -> str:
    """SHA-256 of which images there are, cut how and in which sets and classes.

    Images are known by name and size and not read; a folder keeps its digest
    when it is moved.
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
  """Gathers images one by one and numbers their sets and classes."""

  def __init__(self, root: str):
    """Begins with no image; `root` is the folder that they lie under."""
    self.root = os.path.abspath(root)
    self._skipped: dict[str, list[str]] = {}
    self._files: list[bytes] = []
    self._sizes: list[int] = []
    self._sets: dict[str, int] = {}
    self._classes: dict[str, int] = {}
    self._rows: list[tuple[int, int, float]] = []
    self._boxes: list[tuple[int, ...]] = []

  def skip(self, reason: str, name: str) -> None:
    """Notes what was left out, and why."""
    self._skipped.setdefault(reason, []).append(name)

  def add(
    self,
    file: str,
    *,
    set_name: str,
    class_name: str,
    value: float = math.nan,
    box: tuple[int, int, int, int] | None = None,
  ) -> None:
    """Adds an image, or notes that its file is missing.

    Args:
      file: path relative to the root.
      set_name: tells its set from all others.
      class_name: tells its class from all others.
      value: of the factor.
      box: the region to crop, as `records.ImageRecords` has it.
    """
    try:
      size = os.stat(os.path.join(self.root, file)).st_size
    except (OSError, ValueError):  # ValueError: a null character
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

  def build(
    self,
    *,
    source: str,
    invariance: str,
    image_size: int,
    expected: str,
    factor: tuple[str, str, float | None] = ("", "", None),
  ) -> InvarianceSets:
    """Returns what was gathered.

    Args:
      source: see `InvarianceSets`.
      invariance: the same.
      image_size: the same.
      expected: what should have been there, and where to get it.
      factor: its name, unit and period.

    Raises:
      UsageError: nothing was gathered.
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
      set_names=tuple(self._sets),
      class_names=tuple(self._classes),
      factor=np.array(values, np.float64),
      factor_name=factor[0],
      factor_unit=factor[1],
      factor_period=factor[2],
      image_size=image_size,
      skipped={name: tuple(of) for name, of in self._skipped.items()},
    )


def pixel_box(
  xmin: float, ymin: float, xmax: float, ymax: float
) -> tuple[int, int, int, int] | None:
  """A box in whole pixels, cut at the image's upper left; None where empty."""
  sides = (xmin, ymin, xmax, ymax)
  if not all(math.isfinite(side) and abs(side) < 2**31 - 1 for side in sides):
    return None
  xmin, ymin, xmax, ymax = (max(0, round(side)) for side in sides)
  return (xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None
