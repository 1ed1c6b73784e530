"""Keeps the pixels of a small dataset in memory.

Training reads each image again in every epoch. If all pixels fit in memory,
images are decoded once. A view of a JPEG may then differ from one that was
decoded alone at the edges of its window, where colors are interpolated.
"""

import contextlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow.core.framework import tensor_pb2

from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.ops import orientation, progress

# Pixel values are numbered in 32 bits by some of TensorFlow's kernels.
LARGEST_MIB = 2047
_MIB = 2**20
# Images are decoded in chunks; a larger one costs less per image.
_LARGEST_CHUNK = 256
_CHUNK_BYTES = 2**24
_SAMPLE = 64  # Images whose headers predict the size of all.


class DecodedImages:
  """Decoded images of a dataset, for reading inside tf.data.

  Attributes:
    sides: [n, 2] int32, heights and widths, pixels; 0 where an image cannot be
      decoded.
  """

  def __init__(self, pixels: np.ndarray, sides: np.ndarray):
    """Initializes the images.

    Args:
      pixels: values of all images in order, uint8, each [H, W, 3] flattened.
      sides: [n, 2], heights and widths.
    """
    # Eager tensors are captured; constants would be copied into every graph.
    self._pixels = tf.constant(pixels, tf.uint8)
    self.sides = tf.constant(sides, tf.int32)
    counts = 3 * np.prod(sides, axis=1, dtype=np.int64)
    self._first = tf.constant(np.cumsum(counts) - counts, tf.int64)

  def headers(self, index: tf.Tensor) -> decoding.Headers:
    """Returns the headers of n images, [n] int64, as if stored upright.

    Fails in the graph if one of the images could not be decoded.
    """
    sides = tf.gather(self.sides, index)
    usable = tf.debugging.Assert(
      tf.reduce_all(sides > 0), ["cannot be decoded", index]
    )
    with tf.control_dependencies([usable]):
      return decoding.Headers(
        tf.identity(sides), tf.fill(tf.shape(index), orientation.UPRIGHT)
      )

  def window(self, index: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Returns the pixels of a window.

    Args:
      index: [] int64, number of the image.
      window: [4] int32: ymin, xmin, height, width within the image, pixels.

    Returns:
      [height, width, 3] uint8.
    """
    y, x, h, w = tf.unstack(window)
    width = self.sides[index, 1]
    row = tf.cast(3 * width, tf.int64)
    rows = tf.slice(
      self._pixels,
      [self._first[index] + tf.cast(y, tf.int64) * row],
      [tf.cast(h, tf.int64) * row],
    )
    return tf.reshape(rows, [h, width, 3])[:, x : x + w]


def decode_all(
  records: records_lib.ImageRecords, *, max_mib: int
) -> DecodedImages | None:
  """Decodes all images if their pixels fit in memory.

  Args:
    records: images of the dataset.
    max_mib: maximum size of all pixels, MiB, at most `LARGEST_MIB`.

  Returns:
    The images; None if they are larger. Headers of a sample tell so at once
    where their sizes predict more than twice the maximum.
  """
  most = max_mib * _MIB
  size = _mean_size(records)
  if size * records.num_images > 2 * most:
    return None
  chunk_size = int(np.clip(_CHUNK_BYTES / size, 1, _LARGEST_CHUNK))
  pixels, sides, total = [], [], 0
  with progress.bar(
    "Decoding images", total=records.num_images, unit="image", delay=1.0
  ) as bar:
    for chunk in _chunks(records, chunk_size):
      sides.extend(chunk.sides.numpy())
      for data in chunk.pixels.numpy():
        content = tensor_pb2.TensorProto.FromString(data).tensor_content
        pixels.append(np.frombuffer(content, np.uint8))
        total += pixels[-1].size
      if total > most:
        return None
      bar.update(len(chunk.sides))
  logging.info(
    "decoded %d images once, into %.0f MiB of memory",
    len(sides),
    total / _MIB,
  )
  return DecodedImages(np.concatenate(pixels), np.array(sides))


def _mean_size(records: records_lib.ImageRecords) -> float:
  """Estimates the bytes of a decoded image from a sample, at least 3."""
  sizes = [3.0]
  count = min(records.num_images, _SAMPLE)
  for index in np.linspace(0, records.num_images - 1, count, dtype=int):
    # Any error is that of an image that cannot be used, which has no pixels.
    with contextlib.suppress(Exception):
      encoded = tf.constant(loading.read_encoded(records, int(index)))
      sizes.append(3.0 * np.prod(decoding.sides(encoded).numpy()))
  return sum(sizes) / count


class _Decoded(NamedTuple):
  """Pixels as a serialized tensor, [] string, and height and width, [2] int32.

  An image that cannot be decoded has the sides 0.
  """

  pixels: tf.Tensor
  sides: tf.Tensor


@tf.autograph.experimental.do_not_convert  # Halves the time to build.
def _chunks(
  records: records_lib.ImageRecords, chunk_size: int
) -> tf.data.Dataset:
  """All images in order, in chunks of `_Decoded`."""
  source = loading.Source(records._replace(examples=None, objects=None))

  # tf.functions, which are not traced again when used again.
  @tf.function(autograph=False)
  def read(locations: loading.Location) -> tuple[tf.Tensor, tf.Tensor]:
    encoded = tf.map_fn(source.read, locations, fn_output_signature=tf.string)
    # Many headers at once cost little.
    return encoded, decoding.read_headers(encoded).orientation

  @tf.function(autograph=False)
  def decode(encoded: tf.Tensor, turn: tf.Tensor) -> _Decoded:
    image = decoding.decode_whole(encoded, turn)
    pixels = tf.io.serialize_tensor(tf.reshape(image, [-1]))
    return _Decoded(pixels, tf.shape(image)[:2])

  def load(first, places, indices) -> tf.data.Dataset:
    del first, places  # The result depends on the image alone.
    located = tf.data.Dataset.from_tensors(source.locate(indices))
    return located.map(read).unbatch().map(decode)

  return loading.load_chunks(
    load,
    lambda examples, attempt: examples,
    start=0,
    stop=records.num_images,
    chunk_size=chunk_size,
    attempts=1,
  ).map(lambda chunk: chunk.loaded)
