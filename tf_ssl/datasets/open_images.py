"""One way in for every kind of image source."""

import glob
import os

from tf_ssl import errors
from tf_ssl.datasets import (
  image_folder,
  manifest,
  records,
  tfds_images,
  tfrecords,
)


def open_images(source: str, *, labelled: bool = False) -> records.ImageRecords:
  """Finds the images of a source, whatever its kind.

  Args:
    source: a folder of images (any depth) or of TFRecord files; a CSV manifest;
      a TFRecord file or a glob of them; or `tfds:NAME[:SPLIT]`.
    labelled: whether every image must come with a class: from the folder that
      it lies in, the manifest's column, or the record's feature.

  Returns:
    The records.

  Raises:
    UsageError: the source is missing, empty or malformed.
  """
  if source.startswith(tfds_images.PREFIX):
    return tfds_images.read(source, labelled=labelled)
  source = os.path.expanduser(source)
  if os.path.isdir(source):
    if image_folder.is_empty(source):
      files = tfrecords.find(source)
      if files:
        return tfrecords.read(files, labelled=labelled)
    return image_folder.read(source, labelled=labelled)
  if source.lower().endswith(".csv"):
    return manifest.read(source, labelled=labelled)
  files = tfrecords.find(source)
  if not files:
    kind = "matches no file" if glob.has_magic(source) else "does not exist"
    raise errors.UsageError(
      f"images: {source!r} {kind}; expected a folder of images, a CSV "
      "manifest, TFRecord files or tfds:NAME"
    )
  return tfrecords.read(files, labelled=labelled)
