"""Collects images and boxes for a reader, and skips unusable ones by reason."""

import functools
import math
import os
import reprlib
import stat
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import missing, records
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import box_rows, frames, image_paths
from tf_ssl.ops import exif, names, numerals

# Boxes may exceed their image by rounding of the source, pixels.
_ROUNDING = 0.5
_MAX_SIDE = 2**31 - 1
_MAX_AREA = 2.0**62
_UNREADABLE = "an image without a readable size"


class Collector:
  """Checks images and boxes as a reader finds them.

  Attributes:
    root: absolute path of the folder of the images.
    skipped: names of skipped inputs, by reason.
  """

  def __init__(self, root: str):
    """Starts without images.

    Args:
      root: folder that the paths of images are relative to.
    """
    self.root = os.path.abspath(os.path.expanduser(root))
    self.skipped: dict[str, list[str]] = {}
    self._files: list[bytes] = []
    self._sizes: list[int] = []
    self._ids: list[int | str] = []
    self._given: list[tuple[int, int] | None] = []
    self._frames: list[frames.Frame | None] = []  # None: not yet known.
    self._num_known = 0
    self._turned: list[str] = []
    self._differing: list[str] = []
    self._rows = box_rows.BoxRows()
    self._unsure: list[tuple[int, int | None]] = []
    self._clipped = 0
    self._bad_images = 0
    self._bad_boxes = 0

  def skip(self, reason: str, name: str, count: int = 1) -> None:
    """Records skipped inputs of one name that are neither images nor boxes."""
    self.skipped.setdefault(reason, []).extend([name] * count)

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
      self.may_show(image, class_id)

  def may_show(self, image: int, class_id: int | None = None) -> None:
    """Records that an image may show an object that has no box.

    Args:
      image: index of the image, from `add_image`.
      class_id: class of the object; None if it may be any.
    """
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
    file = image_paths.find(self.root, file)
    if not image_paths.is_below(file):
      reason = "a path outside the folder of images"
    else:
      path = os.path.join(self.root, file)
      try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
          reason = "no such image"
        elif given is None:
          header = frames.read_header(path)
          if header is None:
            reason = _UNREADABLE
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

  def add_listed(
    self, images: records.ImageRecords, image_ids: Sequence[int | str]
  ) -> list[int | None]:
    """Adds listed images whose boxes are of the stored pixels.

    Args:
      images: images of the root.
      image_ids: id of each image in the source.

    Returns:
      Index of each image; None if it is skipped.
    """
    found: list[int | None] = []
    listed = range(images.num_images)
    headers = frames.read_headers([images.path(i) for i in listed])
    for i, header in zip(listed, headers, strict=True):
      if header is None:
        self.skip_image(_UNREADABLE, images.name(i))
        found.append(None)
        continue
      if header.orientation != exif.UPRIGHT:
        self._turned.append(images.name(i))
      found.append(len(self._files))
      self._files.append(bytes(images.files[i]))
      self._sizes.append(int(images.sizes[i]))
      self._ids.append(image_ids[i])
      self._given.append(None)
      self._frames.append(frames.Frame(header.upright, header.orientation))
    return found

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
    self._rows.append(image, class_id, inside, crowd, difficult, area)

  def add_boxes(
    self,
    images: np.ndarray,
    fractions: np.ndarray,
    class_ids: np.ndarray,
    crowd: np.ndarray,
    name: Callable[[int], str],
  ) -> None:
    """Adds many boxes as `add_box` does.

    Args:
      images: [M] int, index of the image of each box.
      fractions: [M, 4] float64, xmin, ymin, xmax, ymax as fractions of the
        width and height of the image that they are annotated in.
      class_ids: [M] int, class of each object, from 0.
      crowd: [M] bool, whether a box covers a group of objects.
      name: function that returns the name of a box by its index, for
        `Annotations.skipped`.
    """
    self._find_frames()
    corners, turned, sizes = frames.turn_all(fractions, images, self._frames)
    inside = np.clip(turned, 0, np.tile(sizes, 2))
    usable = (inside[:, :2] < inside[:, 2:]).all(axis=1)  # False for NaN.
    usable &= (np.abs(corners) < _MAX_SIDE).all(axis=1)
    for i in np.flatnonzero(~usable).tolist():
      self.add_box(
        int(images[i]), corners[i].tolist(), int(class_ids[i]), name(i)
      )
    moved = np.abs(inside - turned)[usable].max(axis=1, initial=0)
    self._clipped += int((moved > _ROUNDING).sum())
    self._rows.extend(
      images[usable], class_ids[usable], inside[usable], crowd[usable]
    )

  def listed(self) -> list[tuple[str, tuple[int, int] | None]]:
    """Returns the path of each image below the root, and the size given."""
    names = map(os.fsdecode, self._files)
    return list(zip(names, self._given, strict=True))

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
      raise missing.no_images(source, self.root, expected, self.skipped)
    self._find_frames()
    if not class_names:
      raise errors.UsageError(
        f"{source}: no class in the annotations of {self.root!r}"
        f" ({len(self._files)} images, {len(self._rows)} boxes)"
        f"{missing.summary(self.skipped)}; expected {expected}"
      )
    for items, bad, good in (
      ("images", self._bad_images, len(self._files)),
      ("boxes", self._bad_boxes, len(self._rows)),
    ):
      if bad > max_skipped_fraction * (bad + good):
        raise errors.UsageError(
          f"{source}: {bad} of {bad + good} {items} cannot be used"
          f"{missing.summary(self.skipped)}; expected at most a fraction of"
          f" {max_skipped_fraction:g} under {self.root!r}; fix them, or"
          " increase max_skipped_fraction"
        )
    self._tell(source)
    rows = self._rows.columns()
    if targets is None:
      targets = annotations_lib.targets_of_boxes(
        len(self._files),
        len(class_names),
        rows.image_index,
        rows.class_ids,
        rows.crowd | rows.difficult,
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
      **rows._asdict(),
      class_names=tuple(map(names.of_class, class_names)),
      category_ids=np.array(category_ids, np.int64),
      clipped=self._clipped,
      skipped={name: tuple(of) for name, of in self.skipped.items()},
    )

  def _find_frames(self) -> None:
    """Reads the sizes of the images whose source gives one."""
    added = range(self._num_known, len(self._files))
    self._num_known = len(self._files)
    unknown = [i for i in added if self._frames[i] is None]
    if not unknown:
      return
    found = [os.fsdecode(self._files[i]) for i in unknown]
    headers = frames.read_headers([os.path.join(self.root, f) for f in found])
    for i, name, header in zip(unknown, found, headers, strict=True):
      given = self._given[i]
      if header is None:  # It is told when the image is decoded.
        frame = frames.Frame(given)
      else:
        frame = frames.find(given, header)
        if frame.orientation != exif.UPRIGHT:
          self._turned.append(name)
        if frame.differs:
          self._differing.append(_difference(name, header.upright, given))
      self._frames[i] = frame

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
    if 0 < self._rows.largest <= 1:
      logging.warning(
        "%s: all %d boxes lie within the first pixel of their images; expected"
        " pixels, not fractions of the image",
        source,
        len(self._rows),
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
