"""Images in order and without augmentation, each with its number."""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import resize
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import chunks, decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import pixels

# The usual protocol resizes the short side to 256 and cuts out the middle 224.
_MARGIN = 256 / 224
FRAMINGS = ("middle", "whole", "fitted")


class NumberedImages(NamedTuple):
  """A batch of images.

  Attributes:
    image: [B, H, W, 3] uint8.
    index: [B] int64, which of the records each is.
  """

  image: tf.Tensor
  index: tf.Tensor


@tf.autograph.experimental.do_not_convert  # halves the time to build
def numbered_images(
  records: records_lib.ImageRecords,
  *,
  image_size: int,
  batch_size: int,
  start: int = 0,
  framing: str = "middle",
  skipped: skipped_lib.SkippedFiles | None = None,
) -> tf.data.Dataset:
  """All images from `start` on once, in the order of the records.

  Args:
    records: the images; a box is cut out before anything else.
    image_size: pixels a side.
    batch_size: images in a batch, B; the last batch may be smaller.
    start: the first record.
    framing: "middle": the short side is resized to `image_size` * 256 / 224 and
      the middle cut out; a square image no larger than `image_size` is resized
      to it whole. "whole": the whole image is resized to a square, whatever its
      shape (METHODS 1). "fitted": its shape kept, the rest of the square, below
      or to the right, filled with ImageNet's mean color.
    skipped: where unusable images, which are left out, are counted; a
      `SkippedFiles` that only logs them by default.

  Returns:
    A dataset of `NumberedImages` with H = W = image_size.

  Raises:
    UsageError: `image_size` < 2, `batch_size` < 1, or an unknown framing.
  """
  if image_size < 2:
    raise errors.UsageError(
      f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE"
    )
  if batch_size < 1:
    raise errors.UsageError(
      f"batch_size: got {batch_size}; expected at least 1; raise BATCH_SIZE"
    )
  if framing not in FRAMINGS:
    raise errors.UsageError(
      f"framing={framing!r}: expected one of {', '.join(FRAMINGS)}; change "
      "`framing`"
    )
  if skipped is None:
    skipped = skipped_lib.SkippedFiles(None, records.num_images)
  source = loading.Source(records)

  @tf.function(autograph=False)  # so that a second use is no second trace
  def load_one(location: loading.Location) -> NumberedImages:
    image = decoding.decode(source.read(location))
    sides = tf.shape(image)[:2]
    region = loading.regions(location.box[None], sides[None])[0]
    y, x, h, w = tf.unstack(region)
    image = image[y : y + h, x : x + w]
    if framing == "middle":
      image = _middle(image, image_size)
    elif framing == "fitted":
      image = resize.fit(image, image_size, color=pixels.IMAGENET_MEAN)
    else:
      image = resize.resize(image, [image_size, image_size])
    return NumberedImages(image, location.index)

  def load(first, places, indices) -> tf.data.Dataset:
    del first, places  # the record alone decides
    locations = tf.data.Dataset.from_tensor_slices(source.locate(indices))
    return locations.map(load_one)

  def index_of(examples: tf.Tensor, attempt) -> tf.Tensor:
    del attempt  # nothing stands in for an image
    return examples

  def usable(chunk: chunks.Chunk) -> NumberedImages:
    loaded = skipped_lib.report(
      chunk, index_of, records, skipped, attempts=1, may_give_up=True
    )
    kept = chunk.failures == 0
    return NumberedImages(*(tf.boolean_mask(x, kept) for x in loaded))

  dataset = chunks.load_chunks(
    load,
    index_of,
    start=start,
    stop=records.num_images,
    chunk_size=min(32, batch_size),
    attempts=1,
  )
  dataset = dataset.map(usable).unbatch().batch(batch_size)
  return dataset.prefetch(tf.data.AUTOTUNE)


def _middle(image: tf.Tensor, size: int) -> tf.Tensor:
  """[H, W, 3] uint8 -> [size, size, 3] uint8."""
  sides = tf.cast(tf.shape(image)[:2], tf.float32)  # height, width
  short = tf.reduce_min(sides)
  fits = (sides[0] == sides[1]) & (short <= size)
  target = tf.where(fits, float(size), round(size * _MARGIN))
  resized = tf.floor(sides * (target / short) + 1e-3)  # as torchvision: int()
  offset = tf.round((resized - size) / 2)
  return resize.resize(
    image, [size, size], scale=resized / sides, offset=offset
  )
