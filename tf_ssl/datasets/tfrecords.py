"""TFRecord files of tf.train.Example, made random access.

The files are scanned once for where each record lies, reading 12 bytes of each;
after that any image can be read without those before it.
"""

import glob
import os
import struct
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import records

# The format: length (uint64, little-endian), checksum of the length (4 bytes),
# data, checksum of the data (4 bytes).
_HEADER = 12
_FOOTER = 4
_GZIP = b"\x1f\x8b"


def find(source: str) -> list[str]:
  """The TFRecord files of a folder (any depth), a glob, or a single file."""
  if os.path.isdir(source):
    pattern = os.path.join(glob.escape(source), "**", "*")
    found = glob.glob(pattern, recursive=True)
    found = [path for path in found if "tfrecord" in os.path.basename(path)]
  else:
    found = [source] if os.path.exists(source) else glob.glob(source)
  return sorted(path for path in found if os.path.isfile(path))


def read(
  files: Sequence[str],
  *,
  labelled: bool = False,
  image_feature: str = "image/encoded",
  label_feature: str = "image/class/label",
  class_names: tuple[str, ...] = (),
) -> records.ImageRecords:
  """Lists the records of TFRecord files.

  Args:
    files: their paths.
    labelled: whether to read the labels too, which takes reading the files
      through once.
    image_feature: name of the feature that holds the encoded image.
    label_feature: name of the feature that holds the class id.
    class_names: name of each class id, if known.

  Returns:
    The records, in the order of the files and of the records in them.

  Raises:
    UsageError: a file is missing, compressed or no TFRecord file; all are
      empty; a record has no label though `labelled`.
  """
  root = os.path.dirname(os.path.abspath(files[0])) if files else os.getcwd()
  extents = [_scan(path) for path in files]
  counts = [len(extent) for extent in extents]
  if not sum(counts):
    raise errors.UsageError(
      f"images: found no record in {list(files)[:3]}; expected TFRecord files "
      "of tf.train.Example"
    )
  offsets, lengths = np.concatenate(extents).T
  names = [os.path.relpath(os.path.abspath(path), root) for path in files]
  found = records.ImageRecords(
    root,
    np.array([os.fsencode(name) for name in names]),
    lengths,
    class_names=class_names,
    shards=records.Shards(
      np.repeat(np.arange(len(files), dtype=np.int32), counts),
      offsets,
      lengths,
      image_feature,
    ),
  )
  if labelled:
    found = found._replace(labels=_read_labels(found, label_feature))
  return found


def _scan(path: str) -> np.ndarray:
  """[n, 2] int64: offset and length of each record's data."""
  extents = []
  try:
    with open(path, "rb", buffering=0) as file:
      size, position = os.fstat(file.fileno()).st_size, 0
      while position < size:
        header = os.pread(file.fileno(), _HEADER, position)
        if position == 0 and header.startswith(_GZIP):
          raise _malformed(path, "is compressed; expected it uncompressed")
        length = struct.unpack("<Q", header[:8])[0] if len(header) > 8 else size
        end = position + _HEADER + length + _FOOTER
        if end > size:
          raise _malformed(
            path,
            f"ends inside record {len(extents)} or is no TFRecord file; "
            "expected whole records",
          )
        extents.append((position + _HEADER, length))
        position = end
  except OSError as error:
    raise _malformed(
      path, f"cannot be read ({error.strerror}); expected a TFRecord file"
    ) from error
  return np.array(extents, np.int64).reshape(-1, 2)


def _read_labels(found: records.ImageRecords, feature: str) -> np.ndarray:
  labels = np.empty([found.num_images], np.int32)
  for i in range(found.num_images):
    shards = found.shards
    with open(found.path(i), "rb", buffering=0) as file:
      data = os.pread(
        file.fileno(), int(shards.length[i]), int(shards.offset[i])
      )
    try:
      example = tf.train.Example.FromString(data)
      labels[i] = example.features.feature[feature].int64_list.value[0]
    except Exception as error:
      raise errors.UsageError(
        f"images: record {found.name(i)!r} has no label; labelled images need "
        f"the feature {feature!r}, an integer"
      ) from error
  return labels


def _malformed(path: str, complaint: str) -> errors.UsageError:
  return errors.UsageError(f"images: {path!r} {complaint}")
