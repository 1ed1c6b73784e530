"""Opens images from any supported source."""

import os

from tf_ssl import errors
from tf_ssl.datasets import (
  image_folder,
  manifest,
  records,
  tfds_images,
  tfrecords,
)
from tf_ssl.ops import archives

_EXPECTED = (
  "a folder of images, a manifest FILE.csv, TFRecords (file, glob or folder) "
  "or tfds:NAME[:SPLIT]"
)
_IMAGE_FILES = tuple(os.fsdecode(name) for name in image_folder.EXTENSIONS)


def open_images(
  source: str, *, labeled: bool = False, named_by: str = "IMAGES"
) -> records.ImageRecords:
  """Lists the images of a source.

  Args:
    source: a folder of images at any depth (`image_folder`); FILE.csv
      (`manifest`); a TFRecord file, a glob of TFRecord files, or a folder that
      holds *.tfrecord* files and no image (`tfrecords`); or tfds:NAME[:SPLIT]
      (`tfds_images`).
    labeled: whether each image must have a class, from its folder, the
      manifest's column or the record's feature.
    named_by: setting or flag that `source` comes from, for errors.

  Returns:
    The records.

  Raises:
    UsageError: the source is missing, empty or malformed.
  """
  if source.startswith(tfds_images.PREFIX):
    return tfds_images.read(source, labeled=labeled)
  path = os.path.expanduser(source)
  if not path:
    raise _error(source, "the name is empty", named_by)
  if os.path.isdir(path):
    files = _tfrecords_without_images(path)
    if files:
      return tfrecords.read(files, labeled=labeled)
    return image_folder.read(path, labeled=labeled)
  files = tfrecords.find(path)
  if not files:
    raise _error(
      source, f"no file or folder {os.path.abspath(path)!r}", named_by
    )
  if path.lower().endswith(".csv") and len(files) == 1:
    return manifest.read(files[0], labeled=labeled)
  for file in files:
    if file.lower().endswith(_IMAGE_FILES):
      raise _error(source, f"{file!r} is a single image", named_by)
    if archives.hint(file):
      raise _error(source, f"{file!r} {archives.hint(file)}", named_by)
  return tfrecords.read(files, labeled=labeled)


def _tfrecords_without_images(folder: str) -> list[str]:
  try:
    return tfrecords.find(folder) if image_folder.is_empty(folder) else []
  except OSError:  # `image_folder.read` reports the reason.
    return []


def _error(source: str, problem: str, named_by: str) -> errors.UsageError:
  return errors.UsageError(
    f"images {source!r}: {problem}; expected {_EXPECTED}; change {named_by}"
  )
