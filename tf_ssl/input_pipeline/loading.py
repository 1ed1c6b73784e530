"""Reads encoded images inside tf.data, also where some cannot be used.

tf.data cannot catch an error inside a map; it can only drop the element, and
then every later example would move up by one. Examples are therefore loaded in
chunks. If an example of a chunk fails, the chunk is dropped and loaded again
example by example, each with substitutes until one can be used.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl.augment import croppers
from tf_ssl.datasets import records as records_lib

MAX_ATTEMPTS = 8
_MIN_SIDE = 2
_RECORD_HEADER = 12  # Bytes before a record in its file: length and checksum.
_BUFFER_SIZE = 2**18  # Bytes; larger than most images.


class Location(NamedTuple):
  """Location of n images, or of one.

  Attributes:
    index: [n] int64, number of the record.
    path: [n] string, path of the file.
    offset: [n] int64, position of the record in a shard, bytes; 0 for files.
    row: [n] int64, number of the image in its record; 0 for files.
    box: [n, 4] int32, xmin, ymin, xmax, ymax in pixels; xmin = -1: no box.
  """

  index: tf.Tensor
  path: tf.Tensor
  offset: tf.Tensor
  row: tf.Tensor
  box: tf.Tensor


class Source:
  """The records of a dataset, for reading inside tf.data.

  Attributes:
    num_places: number of images in an example, P.
  """

  def __init__(self, records: records_lib.ImageRecords):
    """Initializes the source from `records`."""
    self._records = records
    self._examples = None
    self.num_places = 1
    boxes = records.boxes
    if records.examples is not None:
      self._examples = tf.constant(records.examples.images)
      self.num_places = self._examples.shape[1]
      boxes = records.examples.boxes
    self._root = os.fsencode(os.path.join(records.root, ""))
    # Eager tensors are captured; constants would be copied into every graph.
    self._files = tf.constant(records.files)
    shards = records.shards
    self._shards = None
    if shards is not None:
      rows = np.zeros_like(shards.offset) if shards.row is None else shards.row
      self._shards = [
        tf.constant(column) for column in (shards.file, shards.offset, rows)
      ]
    self._boxes = None if boxes is None else tf.constant(boxes)
    self._objects = None
    if records.objects is not None:
      offsets, objects, self._of_regions = records.objects
      if not len(objects):  # So that an undefined box can be read.
        objects = np.zeros([1, self.num_places, 4], np.float32)
      self._objects = tf.constant(offsets), tf.constant(objects)

  @property
  def has_objects(self) -> bool:
    """Whether boxes of objects are known."""
    return self._objects is not None

  def locate(self, indices: tf.Tensor) -> Location:
    """Returns the locations of the n * P images of examples [n] int64."""
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

  def draw_objects(
    self, indices: tf.Tensor, draws: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws an object of each of n examples.

    Args:
      indices: [n] int64, examples.
      draws: [n, croppers.NUM_DRAWS] random numbers.

    Returns:
      Boxes [n, P, 4] float32, ymin, xmin, ymax, xmax, as fractions; and [n]
      bool, whether the example has an object. If not, the box is undefined.
    """
    offsets, boxes = self._objects
    first = tf.gather(offsets, indices)
    counts = tf.gather(offsets, indices + 1) - first
    rows = first + croppers.drawn_row(draws, counts)
    last = tf.shape(boxes, tf.int64)[0] - 1
    return tf.gather(boxes, tf.minimum(rows, last)), counts > 0

  def in_pixels(
    self, boxes: tf.Tensor, regions: tf.Tensor, sides: tf.Tensor
  ) -> tf.Tensor:
    """Turns boxes of `draw_objects` into pixels of their images.

    Args:
      boxes: [n, 4] float32, fractions.
      regions: [n, 4] int32, ymin, xmin, height, width of the usable regions.
      sides: [n, 2] int32, heights and widths of the images, pixels.
    """
    if not self._of_regions:
      return boxes * tf.tile(tf.cast(sides, tf.float32), [1, 2])
    start, sides = tf.split(tf.cast(regions, tf.float32), 2, axis=1)
    return tf.tile(start, [1, 2]) + boxes * tf.tile(sides, [1, 2])

  def read(self, location: Location) -> tf.Tensor:
    """Returns the encoded bytes of one image, [] string; fails in the graph."""
    shards = self._records.shards
    if shards is None:
      return tf.io.read_file(location.path)
    # A dataset that starts at the record; only its first element is read.
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
  """Returns the usable regions of images: their boxes, or the full images.

  Fails in the graph if a region is smaller than 2 px on a side.

  Args:
    boxes: [n, 4] int32, boxes as in `Location`.
    sides: [n, 2] int32, heights and widths of the images, pixels.

  Returns:
    [n, 4] int32: ymin, xmin, height, width, pixels.
  """
  corners = tf.reverse(tf.reshape(boxes, [-1, 2, 2]), [2])  # y before x.
  corners = tf.minimum(corners, sides[:, None])
  box = tf.concat([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
  full = tf.pad(sides, [[0, 0], [2, 0]])
  chosen = tf.where(boxes[:, :1] < 0, full, box)
  usable = tf.debugging.Assert(
    tf.reduce_all(chosen[:, 2:] >= _MIN_SIDE),
    ["smaller than 2 px on a side (ymin, xmin, height, width):", chosen],
  )
  with tf.control_dependencies([usable]):
    return tf.identity(chosen)


def read_record(records: records_lib.ImageRecords, index: int) -> bytes:
  """Reads the serialized record of an image in a shard, without a graph.

  Raises:
    OSError: the file cannot be read.
    EOFError: the file is truncated.
  """
  shards = records.shards
  with open(records.path(index), "rb", buffering=0) as file:
    length = int(shards.length[index])
    data = os.pread(file.fileno(), length, int(shards.offset[index]))
  if len(data) != length:
    raise EOFError(f"{records.name(index)} is truncated")
  return data


def read_encoded(records: records_lib.ImageRecords, index: int) -> bytes:
  """Reads the encoded bytes of one image, without a graph.

  Raises:
    OSError: the file cannot be read.
    EOFError: the record is truncated.
    KeyError: the record has no image feature.
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


class Chunk(NamedTuple):
  """Consecutive examples.

  Attributes:
    first: [] int64, number of the first example.
    loaded: output of the load function, [c, ...] each.
    failures: [c] int32, number of failed attempts per example; if it is the
      maximum, `loaded` holds zeros.
  """

  first: tf.Tensor
  loaded: Any
  failures: tf.Tensor


def load_chunk(
  load: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset],
  index_of: Callable[[tf.Tensor, Any], tf.Tensor],
  first: tf.Tensor,
  count: tf.Tensor,
  *,
  attempts: int = MAX_ATTEMPTS,
) -> tf.data.Dataset:
  """Loads consecutive examples, together if all of them can be used.

  Args:
    load: function from examples to a dataset, as that of `load_chunks`.
    index_of: function from examples and attempt to images, as there.
    first: [] int64, first example.
    count: [] int64, number of examples.
    attempts: maximum number of attempts per example.

  Returns:
    A dataset of one `Chunk`.
  """
  places = tf.range(count)
  intact = load(first, places, index_of(first + places, 0))
  # drop_remainder: drops the elements before an error.
  intact = intact.batch(count, drop_remainder=True)
  intact = intact.ignore_errors(log_warning=False)
  intact = intact.map(lambda x: Chunk(first, x, tf.zeros([count], tf.int32)))

  def one_example(place: tf.Tensor) -> tf.data.Dataset:
    def one_attempt(attempt: tf.Tensor) -> tf.data.Dataset:
      index = index_of(first + place, attempt)
      tried = load(first, place[None], index[None]).take(1)
      tried = tried.ignore_errors(log_warning=False)
      return tried.map(lambda x: (x, tf.cast(attempt, tf.int32)))

    tries = tf.data.Dataset.range(attempts).flat_map(one_attempt)
    zeros = tf.nest.map_structure(
      lambda spec: tf.zeros(spec.shape, spec.dtype), tries.element_spec[0]
    )
    given_up = tf.data.Dataset.from_tensors((zeros, attempts))
    return tries.concatenate(given_up).take(1)

  repaired = tf.data.Dataset.range(count).flat_map(one_example).batch(count)
  repaired = repaired.map(lambda x, failures: Chunk(first, x, failures))
  return intact.concatenate(repaired).take(1)


def load_chunks(
  load: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset],
  index_of: Callable[[tf.Tensor, Any], tf.Tensor],
  *,
  start: int,
  stop: int,
  chunk_size: int,
  attempts: int = MAX_ATTEMPTS,
  deterministic: bool = True,
) -> tf.data.Dataset:
  """Loads examples start..stop-1 in parallel.

  Args:
    load: pure function of the chunk's first example ([] int64), positions in
      the chunk ([n] int64) and images ([n] int64). It returns a dataset of n
      elements of static shape, which fails if an image cannot be used.
    index_of: pure function of examples, [n] or [] int64, and the number of the
      attempt. It returns the images.
    start: first example.
    stop: last example + 1.
    chunk_size: number of examples in a chunk; the last chunk may be shorter.
    attempts: maximum number of attempts per example.
    deterministic: whether chunks keep their order.

  Returns:
    A dataset of `Chunk`.
  """

  def one_chunk(first: tf.Tensor) -> tf.data.Dataset:
    count = tf.minimum(tf.constant(chunk_size, tf.int64), stop - first)
    return load_chunk(load, index_of, first, count, attempts=attempts)

  dataset = tf.data.Dataset.range(start, stop, chunk_size)
  return dataset.interleave(
    one_chunk,
    cycle_length=tf.data.AUTOTUNE,
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=deterministic,
  )
