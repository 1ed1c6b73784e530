"""From an example to the encoded bytes that it shows, inside tf.data."""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl.datasets import records as records_lib

_MIN_SIDE = 2
_RECORD_HEADER = 12  # bytes before a record in its file: length and checksum
_BUFFER_SIZE = 2**18  # bytes; an image is seldom larger


class Location(NamedTuple):
  """Where images are; [n] of each, or one.

  Attributes:
    index: int64, of the record.
    path: string, of the file.
    offset: int64, where in a shard its record begins, in bytes; else 0.
    row: int64, which of a record's images it is; else 0.
    box: [..., 4] int32, xmin, ymin, xmax, ymax in pixels; xmin = -1: no box.
  """

  index: tf.Tensor
  path: tf.Tensor
  offset: tf.Tensor
  row: tf.Tensor
  box: tf.Tensor


class Source:
  """A dataset's records, to be read inside tf.data.

  Attributes:
    num_places: P, how many images an example shows.
  """

  def __init__(self, records: records_lib.ImageRecords):
    """Initializes from `records`."""
    self._records = records
    self._examples = None
    self.num_places = 1
    boxes = records.boxes
    if records.examples is not None:
      self._examples = tf.constant(records.examples.images)
      self.num_places = self._examples.shape[1]
      boxes = records.examples.boxes
    self._root = os.path.join(records.root, "")
    # Eager tensors, captured: constants would be copied into every graph.
    self._files = tf.constant(records.files)
    shards = records.shards
    self._shards = None
    if shards is not None:
      rows = np.zeros_like(shards.offset) if shards.row is None else shards.row
      self._shards = [
        tf.constant(column) for column in (shards.file, shards.offset, rows)
      ]
    self._boxes = None if boxes is None else tf.constant(boxes)

  def locate(self, indices: tf.Tensor) -> Location:
    """[n] int64, examples -> the locations of their n * P images."""
    examples = indices
    if self._examples is not None:
      indices = tf.reshape(tf.gather(self._examples, examples), [-1])
    files, offsets, rows = indices, *[tf.zeros_like(indices)] * 2
    if self._shards is not None:
      files, offsets, rows = (tf.gather(x, indices) for x in self._shards)
    paths = tf.strings.join([self._root, tf.gather(self._files, files)])
    if self._boxes is None:
      boxes = tf.fill([tf.size(indices), 4], -1)
    else:
      boxes = tf.reshape(tf.gather(self._boxes, examples), [-1, 4])
    return Location(indices, paths, offsets, rows, boxes)

  def read(self, location: Location) -> tf.Tensor:
    """The encoded bytes ([] string) of one image; fails if unreadable."""
    shards = self._records.shards
    if shards is None:
      return tf.io.read_file(location.path)
    # A data set of what begins at the record: only its first is read.
    rest = tf.raw_ops.TFRecordDatasetV2(
      filenames=location.path[None],
      compression_type="",
      buffer_size=tf.constant(_BUFFER_SIZE, tf.int64),
      byte_offsets=location.offset[None] - _RECORD_HEADER,
    )
    serialized = tf.raw_ops.DatasetToSingleElement(
      dataset=tf.raw_ops.TakeDataset(
        input_dataset=rest,
        count=tf.constant(1, tf.int64),
        output_types=[tf.string],
        output_shapes=[[]],
      ),
      output_types=[tf.string],
      output_shapes=[[]],
    )[0]
    name = shards.image_feature
    if shards.row is not None:
      feature = {name: tf.io.FixedLenSequenceFeature([], tf.string)}
      _, lists = tf.io.parse_single_sequence_example(
        serialized, sequence_features=feature
      )
      return lists[name][location.row]
    feature = {name: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_single_example(serialized, feature)[name]


def regions(boxes: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
  """What may be shown of images: their boxes, or all of them.

  Fails in the graph where that is smaller than 2 px on a side.

  Args:
    boxes: [n, 4] int32, as in `Location`.
    sides: [n, 2] int32, heights and widths.

  Returns:
    [n, 4] int32: ymin, xmin, height, width.
  """
  corners = tf.reverse(tf.reshape(boxes, [-1, 2, 2]), [2])  # y before x
  corners = tf.minimum(corners, sides[:, None])
  box = tf.concat([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
  whole = tf.pad(sides, [[0, 0], [2, 0]])
  chosen = tf.where(boxes[:, :1] < 0, whole, box)
  usable = tf.debugging.Assert(
    tf.reduce_all(chosen[:, 2:] >= _MIN_SIDE),
    ["smaller than 2 px on a side (ymin, xmin, height, width):", chosen],
  )
  with tf.control_dependencies([usable]):
    return tf.identity(chosen)


def read_record(records: records_lib.ImageRecords, index: int) -> bytes:
  """The serialized record, of a shard, that an image lies in.

  Raises:
    OSError: the file cannot be read.
    EOFError: it ends early.
  """
  shards = records.shards
  with open(records.path(index), "rb", buffering=0) as file:
    length = int(shards.length[index])
    data = os.pread(file.fileno(), length, int(shards.offset[index]))
  if len(data) != length:
    raise EOFError(f"{records.name(index)} ends early")
  return data


def read_encoded(records: records_lib.ImageRecords, index: int) -> bytes:
  """The encoded bytes of one image, read without TensorFlow's graph.

  Raises:
    OSError: the file cannot be read.
    EOFError: the record ends early.
    KeyError: the record has no such feature.
  """
  shards = records.shards
  if shards is None:
    with open(records.path(index), "rb") as file:
      return file.read()
  data = read_record(records, index)
  name = shards.image_feature
  if shards.row is None:
    features = tf.train.Example.FromString(data).features.feature
    values = features[name].bytes_list.value if name in features else []
  else:
    lists = tf.train.SequenceExample.FromString(data).feature_lists
    entries = lists.feature_list[name].feature[int(shards.row[index]) :][:1]
    values = [v for entry in entries for v in entry.bytes_list.value]
  if not values:
    raise KeyError(f"the record has no feature {name!r}")
  return values[0]
