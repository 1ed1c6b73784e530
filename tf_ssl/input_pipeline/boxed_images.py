"""Images with their boxes: examples to train a detector on."""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tqdm
from PIL import Image

from tf_ssl import errors
from tf_ssl.augment import resize
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.input_pipeline import chunks, decoding, loading, order
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import pixels

_CHUNK = 4  # images loaded one after another
_SHAPE = 0.02  # of its ratio of sides, that an image may deviate by


class BoxedImage(NamedTuple):
  """One training example.

  Attributes:
    image: [size, size, 3] uint8, fitted into a square.
    boxes: [R, 4] float32, pixels of that square: xmin, ymin, xmax, ymax.
    class_ids: [R] int32, from 0.
  """

  image: tf.Tensor
  boxes: tf.Tensor
  class_ids: tf.Tensor


class _Loaded(NamedTuple):
  """One image as it is loaded; see `BoxedImage`."""

  image: tf.Tensor
  index: tf.Tensor
  flipped: tf.Tensor


def scales(data: annotations_lib.Annotations, image_size: int) -> np.ndarray:
  """[N] float32: what fitting into a square multiplies coordinates by."""
  return np.float32(image_size) / data.image_sizes.max(axis=1).astype("f")


@tf.autograph.experimental.do_not_convert
def training_examples(
  data: annotations_lib.Annotations,
  *,
  image_size: int,
  seed: int,
  start: int,
  stop: int,
  skipped: skipped_lib.SkippedFiles,
) -> tf.data.Dataset:
  """Examples start..stop-1 of a run: images in any order, half of them flipped.

  Example i is a pure function of (seed, i). Each image comes once an epoch,
  with the boxes of single objects that the source does not mark as difficult.

  Args:
    data: the images and boxes.
    image_size: pixels a side of the square.
    seed: the run's.
    start: the first example.
    stop: one past the last.
    skipped: told of images that cannot be decoded; others stand in for them.

  Returns:
    A dataset of `BoxedImage`.

  Raises:
    UsageError: image_size below 2.
  """
  if image_size < 2:
    raise errors.UsageError(
      f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE"
    )
  source = loading.Source(data.images)
  widths = tf.constant(data.image_sizes[:, 0].astype("f"))
  factors = tf.constant(scales(data, image_size))
  usable = ~(data.crowd | data.difficult)
  boxes = tf.constant(data.boxes[usable])
  class_ids = tf.constant(data.class_ids[usable])
  ends = tf.constant(
    np.searchsorted(data.image_index[usable], np.arange(data.num_images + 1))
  )

  def index_of(examples: tf.Tensor, attempt) -> tf.Tensor:
    return order.image_index(
      examples, attempt, seed=seed, num_images=data.num_images
    )

  def load(first, places, indices) -> tf.data.Dataset:
    located = source.locate(indices)
    examples = tf.data.Dataset.from_tensor_slices((located, first + places))
    return examples.map(load_one)

  @tf.function(autograph=False)  # so that a second use is no second trace
  def load_one(location: loading.Location, example: tf.Tensor) -> _Loaded:
    image = decoding.decode(source.read(location))
    draw = tf.random.stateless_uniform(
      [],
      tf.stack([tf.constant(order.key(seed, "flip"), tf.int64), example]),
      alg="philox",
    )
    flipped = draw < 0.5
    image = tf.cond(flipped, lambda: image[:, ::-1], lambda: image)
    image = resize.fit(image, image_size, color=pixels.IMAGENET_MEAN)
    return _Loaded(image, location.index, flipped)

  def with_boxes(loaded: _Loaded) -> BoxedImage:
    index = loaded.index
    rows = tf.range(ends[index], ends[index + 1])
    found = tf.gather(boxes, rows)
    xmin, ymin, xmax, ymax = tf.unstack(found, axis=1)
    mirrored = tf.stack(
      [widths[index] - xmax, ymin, widths[index] - xmin, ymax], 1
    )
    found = tf.where(loaded.flipped, mirrored, found) * factors[index]
    return BoxedImage(loaded.image, found, tf.gather(class_ids, rows))

  dataset = chunks.load_chunks(
    load, index_of, start=start, stop=stop, chunk_size=_CHUNK
  )
  dataset = dataset.map(
    lambda chunk: skipped_lib.report(chunk, index_of, data.images, skipped)
  )
  return dataset.unbatch().map(with_boxes)


def of_annotated_shape(
  data: annotations_lib.Annotations, *, max_skipped_fraction: float
) -> tuple[annotations_lib.Annotations, dict[str, str]]:
  """Leaves out images that are not what their annotations describe.

  Reads the headers only; a smaller or larger copy of an image will do. Files
  that are no images at all are left out, too; what is damaged further on is
  found by who decodes it.

  Args:
    data: images and boxes.
    max_skipped_fraction: the share of images above which it is an error.

  Returns:
    The rest, and from the names of those left out to the reasons.

  Raises:
    UsageError: too many cannot be used, or all of them.
  """
  told = skipped_lib.SkippedFiles(None, data.num_images, max_skipped_fraction)
  kept = []
  for index in tqdm.tqdm(
    range(data.num_images), desc="checking images", unit="image"
  ):
    reason = _why_of_another_shape(data, index)
    if reason is None:
      kept.append(index)
    else:
      told.add(data.images.name(index), reason)
  if len(kept) == data.num_images:
    return data, {}
  if not kept:  # every one of a few may be allowed to be missing
    raise errors.UsageError(
      f"{data.source}: none of {data.num_images} images can be used, "
      f"the first {told.first}"
    )
  return annotations_lib.take(data, kept), told.reasons


def _why_of_another_shape(data, index: int) -> str | None:
  width, height = data.image_sizes[index].tolist()
  try:
    with Image.open(os.path.realpath(data.images.path(index))) as image:
      found = image.size
  except Exception:  # what Pillow raises on a damaged file varies
    return skipped_lib.why_unusable(data.images, index, None)
  if abs(found[0] * height / (found[1] * width) - 1) <= _SHAPE:
    return None
  return (
    f"is {found[0]}x{found[1]} px, but its boxes are in an image of "
    f"{width}x{height} px"
  )
