"""The contract: types of the batches from `input_pipeline` to `methods`.

This module is all that the data side and the model side share. Images are NHWC
with three channels. They are uint8, 0..255, if the method finishes the views
inside the train step. They are float32, normalized by `ops.pixels.normalize`,
if the input pipeline has finished them.
"""

from typing import NamedTuple

import tensorflow as tf


class ImagePair(NamedTuple):
  """Positive pairs: two views of the same image or object.

  Attributes:
    query: [B, H, W, 3], views for the query encoder.
    key: [B, H, W, 3], views for the key encoder.
  """

  query: tf.Tensor
  key: tf.Tensor


class RegionTrackPair(NamedTuple):
  """Frame pairs, and one region tracked from the first to the second frame.

  Attributes:
    query: [B, H, W, 3], views of the frames at t.
    key: [B, H, W, 3], views of the frames at t + k.
    query_region: [B, h, w, 3], views of a region at t.
    key_region: [B, h, w, 3], views of the region of the same track at t + k.
  """

  query: tf.Tensor
  key: tf.Tensor
  query_region: tf.Tensor
  key_region: tf.Tensor


class MultiCropPair(NamedTuple):
  """Positive pairs, and small crops of their images.

  Attributes:
    query: [B, H, W, 3], views for the query encoder.
    key: [B, H, W, 3], views for the key encoder.
    crops: [B, V, h, w, 3], V small crops of each image, V >= 0.
  """

  query: tf.Tensor
  key: tf.Tensor
  crops: tf.Tensor


class Crops(NamedTuple):
  """Several crops of each image, none of them special.

  Attributes:
    crops: [B, V, H, W, 3], V crops of each image.
  """

  crops: tf.Tensor


class JigsawPair(NamedTuple):
  """Images and their shuffled patches, for methods with a memory bank.

  Attributes:
    image: [B, H, W, 3], views of the whole images.
    patches: [B, P, h, w, 3], patches of the P cells of a grid, in random order.
    index: [B] int64, number of the image in the dataset: its row of the bank.
  """

  image: tf.Tensor
  patches: tf.Tensor
  index: tf.Tensor


class MultiCropJigsaw(NamedTuple):
  """Images, their shuffled patches, and small crops of them.

  Attributes:
    image: [B, H, W, 3], views of the whole images.
    patches: [B, P, h, w, 3], patches of the P cells of a grid, in random order.
    crops: [B, V, h', w', 3], V small crops of each image, V >= 0.
    index: [B] int64, number of the image in the dataset: its row of the bank.
  """

  image: tf.Tensor
  patches: tf.Tensor
  crops: tf.Tensor
  index: tf.Tensor


class IndexedImage(NamedTuple):
  """Views with the number of their image, for methods with a memory bank.

  Attributes:
    image: [B, H, W, 3], one view of each image.
    index: [B] int64, number of the image in the dataset: its row of the bank.
  """

  image: tf.Tensor
  index: tf.Tensor


class LabeledPair(NamedTuple):
  """Positive pairs with labels, some of which may be unknown.

  Attributes:
    query: [B, H, W, 3], first views.
    key: [B, H, W, 3], second views.
    label: [B] int32, class id, -1 if unknown.
  """

  query: tf.Tensor
  key: tf.Tensor
  label: tf.Tensor


class LabeledImage(NamedTuple):
  """Images with labels.

  Attributes:
    image: [B, H, W, 3], one view of each image.
    label: [B] int32, class id.
  """

  image: tf.Tensor
  label: tf.Tensor


RECORD_FIELDS = ("index", "label")  # Fields that are not made from pixels.
CROPS = "crops"  # The field that holds several views of each image.


def view_fields(batch_type: type) -> tuple[str, ...]:
  """Names of the fields that hold views, in order."""
  return tuple(n for n in batch_type._fields if n not in RECORD_FIELDS)


def is_labeled(batch_type: type) -> bool:
  """Whether a batch has labels."""
  return "label" in batch_type._fields
