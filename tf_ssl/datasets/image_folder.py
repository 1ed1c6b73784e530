"""A folder of images at any depth, with or without class folders."""

import collections
import os
from collections.abc import Iterator

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.ops import names as names_lib
from tf_ssl.ops import walk

# Kinds of `ops.pictures` and of TensorFlow; icons are no images of a dataset.
EXTENSIONS = (
  *(b".jpg", b".jpeg", b".jpe", b".jfif", b".mpo", b".png", b".bmp", b".gif"),
  *(b".webp", b".tif", b".tiff", b".pgm", b".ppm", b".pbm", b".pnm", b".avif"),
  *(b".jp2", b".j2k", b".jpx", b".dds", b".pcx", b".psd", b".qoi", b".sgi"),
  b".ras",
)
_ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip")


def read(folder: str, *, labeled: bool = False) -> records.ImageRecords:
  """Lists the images under `folder`, in the order of their names.

  Links are followed. One line is logged of what was found and passed over:
  files of other kinds, link loops, pipes, hidden and service folders (`walk`).

  Args:
    folder: folder to search, at any depth.
    labeled: whether the first folder below `folder` names the class, as in
      `folder/CLASS/image.jpg`. Class ids follow the sorted names.

  Returns:
    The records; `boxes` is None, and `labels` is None unless `labeled`.

  Raises:
    UsageError: the folder is missing, unreadable or without images, or a
      labeled image is in no class folder.
  """
  root = os.path.abspath(folder)
  if not os.path.isdir(root):
    raise errors.UsageError(
      f"images: {folder!r} is not a folder; expected a folder of images"
    )
  try:
    passed = collections.Counter()
    found = sorted(_scan(os.fsencode(root), passed))
  except OSError as error:
    raise errors.UsageError(
      f"images: cannot list {error.filename!r} ({error.strerror}); expected a"
      " readable folder"
    ) from error
  if not found:
    names = ", ".join(os.fsdecode(e) for e in EXTENSIONS)
    raise errors.UsageError(
      f"images: found no image under {folder!r} (extensions {names}, at any"
      f" depth){_passed_over(passed)}; expected a folder with at least one"
      " batch of images"
    )
  files = np.array([name for name, _ in found])
  sizes = np.array([size for _, size in found], np.int64)
  labels, class_names = None, ()
  if labeled:
    labels, class_names = _class_folders(folder, [name for name, _ in found])
  if passed:
    logging.warning(
      "images %r: found %d%s", folder, len(found), _passed_over(passed)
    )
  return records.ImageRecords(
    root, files, sizes, labels=labels, class_names=class_names
  )


def is_empty(folder: str) -> bool:
  """Whether there is no image at any depth below `folder`."""
  scan = _scan(os.fsencode(folder), collections.Counter())
  return next(scan, None) is None


def _scan(
  root: bytes, passed: collections.Counter[str]
) -> Iterator[tuple[bytes, int]]:
  """Yields path, relative to `root`, and bytes of each image below `root`."""
  for name, entry in walk.walk(root, passed):
    if name.lower().endswith(EXTENSIONS):
      yield name, _size(entry)
    else:
      passed[walk.kind(os.fsdecode(entry.name))] += 1


def _passed_over(passed: collections.Counter[str]) -> str:
  """The end of a message: what was passed over, and what to do about it."""
  if not passed:
    return ""
  archives = sum(passed[kind] for kind in _ARCHIVES)
  hint = " (unpack the archives to read them)" if archives else ""
  return f"; passed over {walk.described(passed)}{hint}"


def _size(entry: os.DirEntry) -> int:
  try:
    return entry.stat().st_size
  except OSError:  # A dangling link: reading it will fail and name it.
    return 0


def _class_folders(
  folder: str, names: list[bytes]
) -> tuple[np.ndarray, tuple[str, ...]]:
  for name in names:
    if b"/" not in name:
      raise errors.UsageError(
        f"images: {os.fsdecode(name)!r} is directly in {folder!r}; expected one"
        " folder per class (CLASS/image.jpg) in labeled images"
      )
  classes = [name.split(b"/", 1)[0] for name in names]
  class_of = {
    name: names_lib.of_class(os.fsdecode(name)) for name in sorted(set(classes))
  }
  # Two folders whose names differ only in their Unicode form are one class.
  ids = {name: i for i, name in enumerate(dict.fromkeys(class_of.values()))}
  labels = np.array([ids[class_of[name]] for name in classes], np.int32)
  return labels, tuple(ids)
