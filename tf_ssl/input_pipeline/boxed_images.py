"""Training examples of a detector: images with boxes."""

import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import resize
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import frames
from tf_ssl.input_pipeline import decoding, loading, order
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import exif, pixels, progress

_CHUNK = 4  # Images loaded sequentially.


class BoxedImage(NamedTuple):
  """One training example.

  Attributes:
    image: [size, size, 3] uint8, image fitted into a square.
    boxes: [R, 4] float32, xmin, ymin, xmax, ymax in pixels of that square.
    class_ids: [R] int32, class of each box, from 0.
  """

  image: tf.Tensor
  boxes: tf.Tensor
  class_ids: tf.Tensor


class _Loaded(NamedTuple):
  """An image as it is loaded; see `BoxedImage`."""

  image: tf.Tensor
  index: tf.Tensor
  flipped: tf.Tensor


def scales(data: annotations_lib.Annotations, image_size: int) -> np.ndarray:
  """Returns [N] float32, scale of the coordinates of images in the square."""
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
  """Returns examples start..stop-1 of a run, each flipped with probability 0.5.

  Example i is a pure function of (seed, i). Each image appears once per epoch,
  in random order, with the boxes of single objects that the source does not
  mark as difficult.

  Args:
    data: images and boxes.
    image_size: height and width of the square, pixels.
    seed: seed of the run.
    start: first example.
    stop: last example + 1.
    skipped: record of images that cannot be decoded, which are replaced by
      others.

  Returns:
    A dataset of `BoxedImage`.

  Raises:
    UsageError: image_size below 2.
  """
  errors.require(
    image_size >= 2,
    f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE",
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

  @tf.function(autograph=False)  # Not traced again when used again.
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
    flipped = tf.stack(
      [widths[index] - xmax, ymin, widths[index] - xmin, ymax], 1
    )
    found = tf.where(loaded.flipped, flipped, found) * factors[index]
    return BoxedImage(loaded.image, found, tf.gather(class_ids, rows))

  dataset = loading.load_chunks(
    load, index_of, start=start, stop=stop, chunk_size=_CHUNK
  )
  dataset = dataset.map(
    lambda chunk: skipped_lib.report(chunk, index_of, data.images, skipped)
  )
  return dataset.unbatch().map(with_boxes)


def of_annotated_shape(
  data: annotations_lib.Annotations, *, max_skipped_fraction: float
) -> tuple[annotations_lib.Annotations, dict[str, str]]:
  """Removes images whose aspect ratio differs from that of their annotations.

  Only headers are read; smaller or larger copies of an image are accepted.
  Files that are not images are removed, too; damage after the header is found
  when the image is decoded.

  Args:
    data: images and boxes.
    max_skipped_fraction: fraction of removed images above which it is an error,
      0..1.

  Returns:
    The remaining data, and the reasons by the names of the removed images.

  Raises:
    UsageError: too many images, or all of them, cannot be used.
  """
  skipped = skipped_lib.SkippedFiles(
    None, data.num_images, max_skipped_fraction
  )
  kept = []
  for index in progress.bar(
    "Checking images", range(data.num_images), unit="image"
  ):
    reason = _mismatch(data, index)
    if reason is None:
      kept.append(index)
    else:
      skipped.add(data.images.name(index), reason)
  if len(kept) == data.num_images:
    return data, {}
  errors.require(  # max_skipped_fraction = 1 allows this.
    kept,
    f"{data.source}: none of {data.num_images} images can be used, "
    f"the first {skipped.first}",
  )
  return annotations_lib.take(data, kept), skipped.reasons


def _mismatch(data, index: int) -> str | None:
  width, height = data.image_sizes[index].tolist()
  try:
    path = os.path.realpath(data.images.path(index))
    found = exif.read_header(path).upright
  except Exception:  # Pillow raises various errors on damaged files.
    return skipped_lib.why_unusable(data.images, index, None)
  if frames.is_rescaled(found, (width, height)):
    return None
  return (
    f"is {found[0]}x{found[1]} px, but its boxes are for {width}x{height} px"
  )
