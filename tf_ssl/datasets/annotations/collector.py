"""Collects images and boxes for a reader, and skips unusable ones by reason."""

import functools
import math
import os
import re
import reprlib
import stat
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import missing, records
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import frames
from tf_ssl.ops import exif, names, numerals, progress, spelling

# Boxes may exceed their image by rounding of the source, pixels.
_ROUNDING = 0.5
_MAX_SIDE = 2**31 - 1
_MAX_AREA = 2.0**62
_THREADS = 8  # That read headers, which wait for the disk.
_MANY = 5000  # Images whose headers take long enough for a progress bar.
_ABSOLUTE = re.compile("/|[A-Za-z]:/")


class Collector:
  """Checks images and boxes as a reader finds them.

  Attributes:
    root: absolute path of the folder of the images.
  """

  def __init__(self, root: str):
    """Starts without images.

    Args:
      root: folder that the paths of images are relative to.
    """
    self.root = os.path.abspath(os.path.expanduser(root))
    self._skipped: dict[str, list[str]] = {}
    self._files: list[bytes] = []
    self._sizes: list[int] = []
    self._ids: list[int | str] = []
    self._given: list[tuple[int, int] | None] = []
    self._frames: list[frames.Frame | None] = []  # None: not yet known.
    self._num_known = 0
    self._turned: list[str] = []
    self._differing: list[str] = []
    self._boxes: list[tuple[float, ...]] = []
    self._rows: list[tuple[int, int, bool, bool, float]] = []
    self._unsure: list[tuple[int, int | None]] = []
    self._clipped = 0
    self._bad_images = 0
    self._bad_boxes = 0

  def skip(self, reason: str, name: str) -> None:
    """Records a skipped input that is neither an image nor a box."""
    self._skipped.setdefault(reason, []).append(name)

  def skip_image(self, reason: str, name: str) -> None:
    """Records a skipped image."""
    self._bad_images += 1
    self.skip(reason, name)

  def skip_box(
    self,
    reason: str,
    name: str,
    *,
    image: int | None = None,
    class_id: int | None = None,
  ) -> None:
    """Records a skipped box.

    Args:
      reason: why it cannot be used.
      name: name of the box, for `Annotations.skipped`.
      image: index of the image, from `add_image`, that may therefore show an
        object of the class; None if there is none.
      class_id: class of the object; None if it may be any.
    """
    self._bad_boxes += 1
    self.skip(reason, name)
    if image is not None:
      self._unsure.append((image, class_id))

  def add_image(
    self, file: str, image_id: int | str, size: tuple[Any, Any] | None
  ) -> int | None:
    """Adds an image, or skips it if it cannot be used.

    Args:
      file: path inside the root, relative or absolute.
      image_id: id of the image in the source.
      size: width and height in pixels as the source gives them, numbers or
        text; None, or values that are no size, to read them from the image.

    Returns:
      Index of the image; None if it is skipped.
    """
    reason = None
    given = None if size is None else _size(*size)
    file = self._find(file)
    if not _is_below(file):
      reason = "a path outside the folder of images"
    else:
      path = os.path.join(self.root, file)
      try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
          reason = "no such image"
        elif given is None:
          header = _header(path)
          if header is None:
            reason = "an image without a readable size"
      except (OSError, ValueError):  # ValueError: a null character.
        reason = "no such image"
    if reason is not None:
      self.skip_image(reason, file)
      return None
    self._files.append(os.fsencode(file))
    self._sizes.append(info.st_size)
    self._ids.append(image_id)
    self._given.append(given)
    self._frames.append(None if given else frames.find(None, header))
    if given is None and size is not None and any(map(_is_given, size)):
      self._differing.append(_difference(file, header.upright, size))
    return len(self._files) - 1

  def _find(self, file: str) -> str:
    """Returns the path of an image relative to the root.

    Tools write the path, absolute or not, that the images had when they were
    annotated; it counts from a folder of the root's name.
    """
    path = file.strip().replace("\\", "/")
    if _ABSOLUTE.match(path):
      for root in (self.root, os.path.realpath(self.root)):
        if path.startswith(os.path.join(root, "")):
          below = os.path.relpath(os.path.normpath(path), root)
          return spelling.on_disk(self.root, below)
    elif _is_below(file):
      file = spelling.on_disk(self.root, file)
      if spelling.exists(os.path.join(self.root, file)):
        return file
    _, found, below = f"/{path}".rpartition(f"/{os.path.basename(self.root)}/")
    if found and _is_below(below):
      below = spelling.on_disk(self.root, below)
      if spelling.exists(os.path.join(self.root, below)):
        return below
    return file

  def add_box(
    self,
    image: int,
    corners: Sequence[float],
    class_id: int,
    name: str,
    *,
    crowd: bool = False,
    difficult: bool = False,
    area: float | None = None,
  ) -> None:
    """Adds a box, clipped to its image, or skips it if it cannot be used.

    Args:
      image: index of its image, from `add_image`.
      corners: xmin, ymin, xmax, ymax in pixels, maxima exclusive.
      class_id: class of the object, from 0.
      name: name of the box, for `Annotations.skipped`.
      crowd: whether the box covers a group of objects.
      difficult: whether the source marks the object as difficult.
      area: area of the object in pixels; None for the area of the box.
    """
    skip = functools.partial(
      self.skip_box, name=name, image=image, class_id=class_id
    )
    if not all(math.isfinite(c) and abs(c) < _MAX_SIDE for c in corners):
      skip("a box that is not finite")
      return
    self._find_frames()
    frame = self._frames[image]
    corners = frames.turn(tuple(map(float, corners)), frame)
    xmin, ymin, xmax, ymax = corners
    if xmin >= xmax or ymin >= ymax:
      skip("a box that is inverted or of zero area")
      return
    width, height = frame.size
    if xmin >= width or ymin >= height or xmax <= 0 or ymax <= 0:
      skip("a box outside its image")
      return
    inside = (max(xmin, 0), max(ymin, 0), min(xmax, width), min(ymax, height))
    moved = max(abs(a - b) for a, b in zip(inside, corners, strict=True))
    self._clipped += moved > _ROUNDING
    if area is None or not 0 < area < _MAX_AREA:
      area = (inside[2] - inside[0]) * (inside[3] - inside[1])
    self._boxes.append(inside)
    self._rows.append((image, class_id, crowd, difficult, area))

  def build(
    self,
    *,
    source: str,
    class_names: Sequence[str],
    category_ids: Sequence[int] | None = None,
    targets: np.ndarray | None = None,
    expected: str,
    max_skipped_fraction: float,
  ) -> annotations_lib.Annotations:
    """Returns the collected annotations.

    Args:
      source: name of the dataset, such as "VOC trainval".
      class_names: [C] name of each class.
      category_ids: [C] id of each class in the source; 0 to C - 1 by default.
      targets: [N, C] int8, see `Annotations`; derived from the boxes by
        default.
      expected: files that the dataset should have, where to get them, and the
        setting to change.
      max_skipped_fraction: maximum fraction of skipped images, and of skipped
        boxes.

    Raises:
      UsageError: there is no image or no class, or too much is skipped.
    """
    if not self._files:
      raise missing.no_images(source, self.root, expected, self._skipped)
    self._find_frames()
    if not class_names:
      raise errors.UsageError(
        f"{source}: no class in the annotations of {self.root!r}"
        f" ({len(self._files)} images, {len(self._boxes)} boxes); expected"
        f" {expected}"
      )
    for items, bad, good in (
      ("images", self._bad_images, len(self._files)),
      ("boxes", self._bad_boxes, len(self._boxes)),
    ):
      if bad > max_skipped_fraction * (bad + good):
        raise errors.UsageError(
          f"{source}: {bad} of {bad + good} {items} cannot be used"
          f"{missing.summary(self._skipped)}; expected at most a fraction of"
          f" {max_skipped_fraction:g} under {self.root!r}; fix them, or"
          " increase max_skipped_fraction"
        )
    self._tell(source)
    columns = list(zip(*self._rows, strict=True)) or [()] * 5
    index = np.array(columns[0], np.int64)
    order = np.argsort(index, kind="stable")
    class_ids = np.array(columns[1], np.int32)[order]
    crowd = np.array(columns[2], bool)[order]
    difficult = np.array(columns[3], bool)[order]
    if targets is None:
      targets = annotations_lib.targets_of_boxes(
        len(self._files),
        len(class_names),
        index[order],
        class_ids,
        crowd | difficult,
      )
      for image, class_id in self._unsure:
        classes = slice(class_id, None if class_id is None else class_id + 1)
        shown = targets[image, classes]
        shown[shown == annotations_lib.ABSENT] = annotations_lib.IGNORED
    if category_ids is None:
      category_ids = range(len(class_names))
    return annotations_lib.Annotations(
      source=source,
      images=records.ImageRecords(
        self.root, np.array(self._files), np.array(self._sizes, np.int64)
      ),
      image_ids=tuple(self._ids),
      image_sizes=np.array([f.size for f in self._frames], np.int32),
      reshaped=np.array([f.reshaped for f in self._frames], bool),
      targets=targets,
      boxes=np.array(self._boxes, np.float32).reshape(-1, 4)[order],
      class_ids=class_ids,
      image_index=index[order],
      crowd=crowd,
      difficult=difficult,
      areas=np.array(columns[4], np.float32)[order],
      class_names=tuple(map(names.of_class, class_names)),
      category_ids=np.array(category_ids, np.int64),
      clipped=self._clipped,
      skipped={name: tuple(of) for name, of in self._skipped.items()},
    )

  def _find_frames(self) -> None:
    """Reads the sizes of the images whose source gives one."""
    added = range(self._num_known, len(self._files))
    self._num_known = len(self._files)
    unknown = [i for i in added if self._frames[i] is None]
    if not unknown:
      return
    with (
      futures.ThreadPoolExecutor(_THREADS) as pool,
      progress.bar(
        "Checking sizes",
        total=len(unknown),
        unit="image",
        disable=len(unknown) < _MANY,
      ) as bar,
    ):
      found = (os.fsdecode(self._files[i]) for i in unknown)
      paths = (os.path.join(self.root, name) for name in found)
      headers = pool.map(_header, paths)
      for i, header in zip(unknown, headers, strict=True):
        given, name = self._given[i], os.fsdecode(self._files[i])
        if header is None:  # It is told when the image is decoded.
          frame = frames.Frame(given)
        else:
          frame = frames.find(given, header)
          if frame.orientation != exif.UPRIGHT:
            self._turned.append(name)
          if frame.differs:
            self._differing.append(_difference(name, header.upright, given))
        self._frames[i] = frame
        bar.update()

  def _tell(self, source: str) -> None:
    """Warns of boxes in another size, frame or unit than expected."""
    for found, what in (
      (self._differing, "have another size than their annotations say"),
      (
        self._turned,
        "are annotated as stored; their boxes are turned upright (EXIF)",
      ),
    ):
      if found:
        logging.warning(
          "%s: %d of %d images %s, such as %s",
          source,
          len(found),
          len(self._files),
          what,
          names.escaped(found[0]),
        )
    if self._boxes and max(max(box) for box in self._boxes) <= 1:
      logging.warning(
        "%s: all %d boxes lie within the first pixel of their images; expected"
        " pixels, not fractions of the image",
        source,
        len(self._boxes),
      )


def _size(width: Any, height: Any) -> tuple[int, int] | None:
  """Returns the size that a source gives; None if it is impossible."""
  sides = numerals.whole(width), numerals.whole(height)
  if any(side is None or not 0 < side <= _MAX_SIDE for side in sides):
    return None
  return sides


def _is_given(side: Any) -> bool:
  """Returns whether a side is given; tools write 0 if they do not know it."""
  return side not in (None, "") and numerals.number(side) != 0


def _difference(
  file: str, size: tuple[int, int], given: tuple[Any, Any]
) -> str:
  image = "x".join(map(str, size))
  annotated = "x".join(reprlib.repr(side) for side in given)
  return f"{file!r} ({image} px, annotated as {annotated})"


def _is_below(file: str) -> bool:
  parts = file.replace("\\", "/").split("/")
  return bool(file) and not os.path.isabs(file) and ".." not in parts


def _header(path: str) -> exif.Header | None:
  """Returns the header of an image; None if it is no image."""
  try:
    return exif.read_header(path)
  except Exception:  # Pillow raises various errors on damaged files.
    return None
