"""Files of tf.train.Example: location and label of each image.

Each file is scanned once, twelve bytes per record. After that, any image can be
read without reading the ones before it.
"""

import glob
import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.ops import names

# A record is its length (uint64), the checksum of the length (uint32), the
# payload and the checksum of the payload (uint32), all little-endian
# (tensorflow.org/tutorials/load_data/tfrecord).
_HEADER = struct.Struct("<QI")
_FOOTER_SIZE = 4
_CHECKSUM_MASK = 0xA282EAD8
_GZIP = b"\x1f\x8b"
_LABEL_BATCH = 256
_CHECKED_RECORDS = 16  # One intact record shows what the file holds.
_DAMAGED = -2  # Label.


def find(source: str) -> list[str]:
  """Returns the files of `source`, sorted by name.

  Args:
    source: a file, a glob, or a folder that holds *.tfrecord* files at any
      depth.

  Returns:
    Absolute paths; none if nothing matches.
  """
  if os.path.isdir(source):
    found = [
      os.path.join(folder, name)
      for folder, _, names in os.walk(source)
      for name in names
      if ".tfrecord" in name.lower() and not name.startswith(".")
    ]
  else:
    found = [source] if os.path.isfile(source) else glob.glob(source)
  return sorted(os.path.abspath(path) for path in found if os.path.isfile(path))


def read(
  files: Sequence[str],
  *,
  labeled: bool = False,
  image_feature: str = "image/encoded",
  label_feature: str = "image/class/label",
) -> records.ImageRecords:
  """Locates the images of TFRecord files.

  Args:
    files: paths of one or more files (see `find`).
    labeled: whether to read labels, which parses all Examples. Otherwise only
      the length of each record is read.
    image_feature: name of the feature that holds an encoded image.
    label_feature: name of the feature that holds a class id, an integer from 0.

  Returns:
    The records, in the order of the files and of their records; `labels` is
    None unless `labeled`, and -1 where a record is damaged.

  Raises:
    UsageError: a file cannot be read, is truncated, compressed or not a
      TFRecord file; Examples lack a feature; there is no record.
  """
  found = locate(files, image_feature=image_feature)
  _check_first(found)
  if not labeled:
    return found
  return found._replace(labels=_labels(found, files, label_feature))


def locate(
  files: Sequence[str], *, image_feature: str = "image/encoded"
) -> records.ImageRecords:
  """Locates all records of TFRecord files, whatever they hold.

  Args:
    files: paths of one or more files (see `find`).
    image_feature: name of the feature that holds an encoded image; not checked.

  Returns:
    The records, in the order of the files and of their records.

  Raises:
    UsageError: a file cannot be read, is truncated, compressed or not a
      TFRecord file; there is no record.
  """
  files = [os.path.abspath(file) for file in files]
  located = [_locate(file) for file in files]
  counts = [len(offsets) for offsets, _ in located]
  if not sum(counts):
    raise errors.UsageError(
      f"images: no record in {', '.join(files[:3])}; expected TFRecord files"
      " with one tf.train.Example per image"
    )
  root = os.path.commonpath([os.path.dirname(file) for file in files])
  lengths = np.concatenate([lengths for _, lengths in located])
  return records.ImageRecords(
    root,
    np.array([os.fsencode(os.path.relpath(file, root)) for file in files]),
    lengths,
    shards=records.Shards(
      np.repeat(np.arange(len(files), dtype=np.int32), counts),
      np.concatenate([offsets for offsets, _ in located]),
      lengths,
      image_feature,
    ),
  )


def _locate(file: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns offsets and lengths, [n] int64, of the records of a file."""
  found, begin = [], 0
  try:
    with open(file, "rb", buffering=0) as stream:
      descriptor, end = stream.fileno(), os.fstat(stream.fileno()).st_size
      while begin < end:
        header = os.pread(descriptor, _HEADER.size, begin)
        if len(header) < _HEADER.size:
          raise _damaged(file, begin, header)
        length, checksum = _HEADER.unpack(header)
        offset = begin + _HEADER.size
        if offset + length + _FOOTER_SIZE > end:
          raise _damaged(file, begin, header)
        found.append((offset, length, checksum))
        begin = offset + length + _FOOTER_SIZE
  except OSError as error:
    raise errors.UsageError(
      f"images: cannot read the TFRecord file {file!r} ({error.strerror})"
    ) from error
  offsets, lengths, checksums = np.array(found, np.int64).reshape(-1, 3).T
  wrong = np.flatnonzero(_masked_crc32c(lengths) != checksums)
  if wrong.size:
    raise _damaged(file, offsets[wrong[0]] - _HEADER.size)
  return offsets, lengths


def _damaged(file: str, begin: int, header: bytes = b"") -> errors.UsageError:
  if begin == 0 and header.startswith(_GZIP):
    return errors.UsageError(
      f"images: {file!r} is compressed; expected an uncompressed file (gunzip"
      " it)"
    )
  return errors.UsageError(
    f"images: {file!r} is truncated or not a TFRecord file: the record at byte"
    f" {begin} has a wrong length; write the file again"
  )


def _masked_crc32c(lengths: np.ndarray) -> np.ndarray:
  """[n] uint32: the checksum that TFRecord files store for each length."""
  table = np.arange(256, dtype=np.uint32)
  polynomial = np.uint32(0x82F63B78)  # Castagnoli, reflected (RFC 3720, 12.1).
  for _ in range(8):
    table = (table >> 1) ^ (table & 1) * polynomial
  crc = np.full(len(lengths), 0xFFFFFFFF, np.uint32)
  for byte in lengths.astype("<u8").view(np.uint8).reshape(-1, 8).T:
    crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
  crc = ~crc
  return ((crc >> 15) | (crc << 17)) + np.uint32(_CHECKSUM_MASK)


def _check_first(found: records.ImageRecords) -> None:
  """Raises UsageError if none of the first records is an Example of an image.

  Single damaged records are skipped when their images are read.
  """
  problems = []
  for index in range(min(found.num_images, _CHECKED_RECORDS)):
    problem = _problem(found, index)
    if problem is None:
      return
    problems.append(problem)
  raise errors.UsageError(problems[0])


def _problem(found: records.ImageRecords, index: int) -> str | None:
  """Why a record is no Example with an image, or None."""
  import tensorflow as tf  # Here: takes seconds to import.

  path, image_feature = found.path(index), found.shards.image_feature
  try:
    serialized = _serialized(found, index)
    features = tf.train.Example.FromString(serialized).features.feature
  except Exception:  # DecodeError depends on the protobuf version.
    return (
      f"images: {path!r} holds no tf.train.Example; expected one per image,"
      f" with the encoded image in {image_feature!r}"
    )
  if (
    image_feature in features
    and len(features[image_feature].bytes_list.value) == 1
  ):
    return None
  return (
    f"images: the Examples in {path!r} have the features "
    f"{', '.join(map(names.escaped, sorted(features))) or '(none)'}; expected"
    f" an encoded image in {image_feature!r}"
  )


def _serialized(found: records.ImageRecords, index: int) -> bytes:
  with open(found.path(index), "rb", buffering=0) as file:
    return os.pread(
      file.fileno(),
      int(found.shards.length[index]),
      int(found.shards.offset[index]),
    )


def _labels(
  found: records.ImageRecords, files: Sequence[str], label_feature: str
) -> np.ndarray:
  """Returns the class ids, [N] int32; -1 for damaged records."""
  import tensorflow as tf

  # -1 if an Example has no label.
  spec = {label_feature: tf.io.FixedLenFeature([], tf.int64, default_value=-1)}
  paths = [os.fsencode(file) for file in files]
  examples = tf.data.TFRecordDataset(paths).batch(_LABEL_BATCH)
  batches = examples.map(lambda batch: tf.io.parse_example(batch, spec))
  try:
    labels = np.concatenate(
      [batch[label_feature] for batch in batches.as_numpy_iterator()]
    )
  except Exception:  # A message that is not UTF-8 raises UnicodeDecodeError.
    labels = _labels_one_by_one(found, label_feature, spec)
  wrong = np.flatnonzero(
    (labels != _DAMAGED) & ((labels < 0) | (labels > np.iinfo(np.int32).max))
  )
  if wrong.size:
    raise errors.UsageError(
      f"images: record {found.name(wrong[0])} in {found.root!r} has no label; "
      f"expected a class id from 0 in feature {label_feature!r}"
    )
  return np.maximum(labels, -1).astype(np.int32)


def _labels_one_by_one(
  found: records.ImageRecords, label_feature: str, spec: Mapping[str, Any]
) -> np.ndarray:
  """Returns the class ids, [N] int64; `_DAMAGED` for damaged records.

  Images of damaged records cannot be read, so that they are skipped later.
  """
  import tensorflow as tf

  image = {found.shards.image_feature: tf.io.FixedLenFeature([], tf.string)}
  labels = np.full(found.num_images, _DAMAGED, np.int64)
  for index in range(found.num_images):
    try:
      serialized = _serialized(found, index)
      tf.io.parse_single_example(serialized, image)
    except Exception:
      continue
    try:
      parsed = tf.io.parse_single_example(serialized, spec)
    except Exception as error:
      raise errors.UsageError(
        f"images: cannot read labels from {found.name(index)} in"
        f" {found.root!r}; expected an integer in feature {label_feature!r}"
      ) from error
    labels[index] = int(parsed[label_feature])
  if (labels == _DAMAGED).all():
    raise errors.UsageError(
      f"images: none of the {found.num_images} records in {found.root!r} is an"
      f" Example with an image in {found.shards.image_feature!r}; write the"
      " files again"
    )
  return labels
