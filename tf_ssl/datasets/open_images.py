"""One way in for every kind of image source."""

import os
import re

from tf_ssl import errors
from tf_ssl.datasets import (
  image_folder,
  manifest,
  records,
  tfds_images,
  tfrecords,
)

# x.tfrecord, x.tfrecord-00000-of-00008, train-00000-of-00008
_TFRECORD = re.compile(r".*\.tfrecords?\b.*|.*-\d{5,}-of-\d{5,}", re.IGNORECASE)
_EXPECTED = (
  "a folder of images, a manifest FILE.csv, TFRecords (file, glob or folder) "
  "or tfds:NAME[:SPLIT]"
)


def open_images(source: str, *, labelled: bool = False) -> records.ImageRecords:
  """Finds the images of a source, whatever its kind.

  Args:
    source: a folder of images at any depth (`image_folder`); FILE.csv
      (`manifest`); a TFRecord file, a glob of such files or a folder that holds
      *.tfrecord* files (`tfrecords`); or tfds:NAME[:SPLIT] (`tfds_images`).
    labelled: whether every image must come with a class.

  Returns:
    The records.

  Raises:
    UsageError: the source is missing, empty or malformed.
  """
  if source.startswith(tfds_images.PREFIX):
    return tfds_images.read(source, labelled=labelled)
  path = os.path.expanduser(source)
  if os.path.isdir(path):
    reader = tfrecords if tfrecords.find(path) else image_folder
    return reader.read(path, labelled=labelled)
  if os.path.isfile(path):
    name = os.path.basename(path)
    if name.lower().endswith(".csv"):
      return manifest.read(path, labelled=labelled)
    if _TFRECORD.fullmatch(name):
      return tfrecords.read(path, labelled=labelled)
    raise _error(source, path, "is a file of another kind")
  if source and tfrecords.find(path):
    return tfrecords.read(path, labelled=labelled)
  raise _error(source, path, "is not there")


def _error(source: str, path: str, problem: str) -> errors.UsageError:
  return errors.UsageError(
    f"IMAGES={source!r}: {os.path.abspath(path)!r} {problem}; expected "
    f"{_EXPECTED}. Change IMAGES"
  )
