"""The contract: batches that travel from `input_pipeline` to `methods`.

This module is the only thing that the data side and the model side share.
Images are NHWC with three channels. They are uint8 (0..255) where the method
finishes the views itself, inside the train step, and float32, normalized by
`ops.pixels.normalize`, where the input pipeline has done so.
"""

from typing import NamedTuple

import tensorflow as tf


class ImagePair(NamedTuple):
  """Two views of the same thing: what makes a positive pair.

  Attributes:
    query: [B, H, W, 3], the views that the query encoder sees.
    key: [B, H, W, 3], the views that the key encoder sees.
  """

  query: tf.Tensor
  key: tf.Tensor


class RegionTrackPair(NamedTuple):
  """Two frames of a video, and one region followed from one to the other.

  Attributes:
    query: [B, H, W, 3], the views of frames t.
    key: [B, H, W, 3], the views of frames t + k.
    query_region: [B, h, w, 3], a region in frame t.
    key_region: [B, h, w, 3], the region of the same track in frame t + k.
  """

  query: tf.Tensor
  key: tf.Tensor
  query_region: tf.Tensor
  key_region: tf.Tensor


class JigsawPair(NamedTuple):
  """An image and its shuffled patches, for methods with a memory bank.

  Attributes:
    image: [B, H, W, 3].
    patches: [B, P, h, w, 3], the P windows of a grid, in random order.
    index: [B] int64, which image of the dataset it is: its row of the bank.
  """

  image: tf.Tensor
  patches: tf.Tensor
  index: tf.Tensor


class IndexedImage(NamedTuple):
  """One view of each image, and which image it is.

  Attributes:
    image: [B, H, W, 3].
    index: [B] int64, the image's row of a memory bank.
  """

  image: tf.Tensor
  index: tf.Tensor


class LabeledPair(NamedTuple):
  """Two views of the same thing, with what is known about it.

  Attributes:
    query: [B, H, W, 3].
    key: [B, H, W, 3].
    label: [B] int32, the class id, -1 where unknown.
  """

  query: tf.Tensor
  key: tf.Tensor
  label: tf.Tensor


class LabeledImage(NamedTuple):
  """Images with what is known about them.

  Attributes:
    image: [B, H, W, 3].
    label: [B] int32, the class id.
  """

  image: tf.Tensor
  label: tf.Tensor


RECORD_FIELDS = ("index", "label")  # what comes from the record, not its pixels


def view_fields(batch_type: type) -> tuple[str, ...]:
  """The names of a batch's views: the fields that are made of pixels."""
  return tuple(n for n in batch_type._fields if n not in RECORD_FIELDS)


def is_labeled(batch_type: type) -> bool:
  """Whether a batch tells its images' classes."""
  return "label" in batch_type._fields
