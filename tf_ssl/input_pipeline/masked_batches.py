"""Images with masks: training batches, and full images for evaluation."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.augment import joint_crop
from tf_ssl.datasets.masks import masked_images
from tf_ssl.input_pipeline import decoding, loading, mask_decoding, order


class WholeImage(NamedTuple):
  """A full image for evaluation.

  Attributes:
    image: [1, h, w, 3] float32, 0..255, resized with its aspect ratio.
    mask: [H, W] int32, classes and void at the original size of the mask.
    index: [] int64, number of the image.
  """

  image: tf.Tensor
  mask: tf.Tensor
  index: tf.Tensor


def training_batches(
  data: masked_images.MaskedImages,
  *,
  num_classes: int,
  sides: tuple[int, int],
  scales: tuple[float, float],
  batch_size: int,
  seed: int,
  num_steps: int,
  start_step: int = 0,
) -> tf.data.Dataset:
  """Returns batches for steps start_step..num_steps-1, from `joint_crop`.

  The batch of a step is a pure function of (seed, step). Each image appears
  once per epoch.

  Args:
    data: images with masks, all of which can be used.
    num_classes: number of classes, C.
    sides: height and width of the crops, pixels.
    scales: minimum and maximum scale of the image, see `joint_crop`.
    batch_size: number of images in a batch, B.
    seed: seed of the run.
    num_steps: number of steps of the run, counted from step 0.
    start_step: first step to make a batch for.

  Returns:
    A dataset of `batches.LabeledImage`: image [B, h, w, 3] uint8, label [B, h,
    w] int32, class of each pixel or `masked_images.VOID`.

  Raises:
    UsageError: sides below 2, batch_size below 1, or scales not ascending.
  """
  errors.require(
    min(sides) >= 2 and batch_size >= 1 and 0 < scales[0] <= scales[1],
    f"image_size={tuple(sides)}, batch_size={batch_size}, "
    f"scales={tuple(scales)}: expected at least 2 px, 1 image, and 0 < "
    "smallest <= largest scale",
  )
  load = _loader(data, num_classes)

  def example(number: tf.Tensor) -> batches.LabeledImage:
    index = order.image_index(
      number[None], seed=seed, num_images=data.num_images
    )[0]
    draws = tf.random.stateless_uniform(
      [joint_crop.NUM_DRAWS],
      tf.stack([tf.constant(order.key(seed, "joint crop"), tf.int64), number]),
      alg="philox",
    )
    image, mask = joint_crop.joint_crop(
      *load(index), draws, sides=tuple(sides), scales=tuple(scales)
    )
    return batches.LabeledImage(image, mask)

  dataset = tf.data.Dataset.range(
    start_step * batch_size, num_steps * batch_size
  )
  dataset = dataset.map(
    example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  dataset = dataset.batch(batch_size, drop_remainder=True)
  return dataset.prefetch(tf.data.AUTOTUNE)


def whole_images(
  data: masked_images.MaskedImages, *, num_classes: int, sides: tuple[int, int]
) -> tf.data.Dataset:
  """Returns all images once, in order, each resized to fit into `sides`.

  Args:
    data: images with masks, all of which can be used.
    num_classes: number of classes, C.
    sides: maximum height and width, pixels.

  Returns:
    A dataset of `WholeImage`.
  """
  load = _loader(data, num_classes)

  def example(index: tf.Tensor) -> WholeImage:
    image, mask = load(index)
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    factor = tf.reduce_min(tf.constant(sides, tf.float32) / shape)
    fitting = tf.cast(tf.maximum(tf.round(shape * factor), 1.0), tf.int32)
    resized = tf.image.resize(image[None], fitting, antialias=True)
    return WholeImage(resized, mask, index)

  dataset = tf.data.Dataset.range(data.num_images)
  dataset = dataset.map(
    example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  return dataset.prefetch(tf.data.AUTOTUNE)


def _loader(data: masked_images.MaskedImages, num_classes: int):
  """Returns a function from [] int64 to an image and its mask."""
  images, masks = loading.Source(data.images), loading.Source(data.masks)
  table = data.table(num_classes)

  def classes(encoded: bytes) -> np.ndarray:
    return table[mask_decoding.decode(encoded)]

  def encoded(source: loading.Source, index: tf.Tensor) -> tf.Tensor:
    located = source.locate(index[None])
    return source.read(loading.Location(*(column[0] for column in located)))

  def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    image = decoding.decode(encoded(images, index))
    mask = tf.numpy_function(
      classes, [encoded(masks, index)], tf.int32, stateful=False
    )
    return image, tf.ensure_shape(mask, [None, None])

  return load
