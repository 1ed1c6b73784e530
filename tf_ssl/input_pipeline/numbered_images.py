"""Images in order, without augmentation, each with its number."""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import resize
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import pixels

# The usual protocol resizes the short side to 256 and crops the center 224.
_MARGIN = 256 / 224
FRAMINGS = ("middle", "whole", "fitted", "square")


class NumberedImages(NamedTuple):
  """A batch of images.

  Attributes:
    image: [B, H, W, 3] uint8.
    index: [B] int64, number of each image's record.
  """

  image: tf.Tensor
  index: tf.Tensor


@tf.autograph.experimental.do_not_convert  # Halves the time to build.
def numbered_images(
  records: records_lib.ImageRecords,
  *,
  image_size: int,
  batch_size: int,
  start: int = 0,
  framing: str = "middle",
  skipped: skipped_lib.SkippedFiles | None = None,
) -> tf.data.Dataset:
  """Returns all images from `start` on, once, in the order of the records.

  Args:
    records: images; a box is cropped before anything else.
    image_size: height and width of the result, pixels.
    batch_size: number of images in a batch, B; the last batch may be smaller.
    start: number of the first record.
    framing: "middle": the short side is resized to `image_size` * 256 / 224 and
      the center cropped; a square image no larger than `image_size` is resized
      to it. "whole": the full image is resized to a square, whatever its aspect
      ratio (METHODS 1). "fitted": the aspect ratio is kept, and the rest of the
      square, below or to the right, has ImageNet's mean color. "square": the
      largest square in the middle of the image is resized.
    skipped: record of unusable images, which are left out; by default they are
      only logged.

  Returns:
    A dataset of `NumberedImages` with H = W = image_size.

  Raises:
    UsageError: `image_size` < 2, `batch_size` < 1, or an unknown framing.
  """
  errors.require(
    image_size >= 2,
    f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE",
  )
  errors.require(
    batch_size >= 1,
    f"batch_size: got {batch_size}; expected at least 1; raise BATCH_SIZE",
  )
  errors.require(
    framing in FRAMINGS,
    f"framing={framing!r}: expected one of {', '.join(FRAMINGS)}; change "
    "`framing`",
  )
  if skipped is None:
    skipped = skipped_lib.SkippedFiles(None, records.num_images)
  source = loading.Source(records)

  # tf.functions, which are not traced again when used again.
  @tf.function(autograph=False)
  def read(locations: loading.Location):
    encoded = tf.map_fn(source.read, locations, fn_output_signature=tf.string)
    # Many headers at once cost little.
    return locations, encoded, decoding.read_headers(encoded).orientation

  @tf.function(autograph=False)
  def load_one(
    location: loading.Location, encoded: tf.Tensor, turn: tf.Tensor
  ) -> NumberedImages:
    image = decoding.decode_whole(encoded, turn)
    sides = tf.shape(image)[:2]
    region = loading.regions(location.box[None], sides[None])[0]
    y, x, h, w = tf.unstack(region)
    image = image[y : y + h, x : x + w]
    if framing == "middle":
      image = _middle(image, image_size)
    elif framing == "square":
      image = _square(image, image_size)
    elif framing == "fitted":
      image = resize.fit(image, image_size, color=pixels.IMAGENET_MEAN)
    else:
      image = resize.resize(image, [image_size, image_size])
    return NumberedImages(image, location.index)

  def load(first, places, indices) -> tf.data.Dataset:
    del first, places  # The result depends on the record alone.
    dataset = tf.data.Dataset.from_tensors(source.locate(indices)).map(read)
    return dataset.unbatch().map(load_one)

  def index_of(examples: tf.Tensor, attempt) -> tf.Tensor:
    del attempt  # Images have no substitutes.
    return examples

  def usable(chunk: loading.Chunk) -> NumberedImages:
    loaded = skipped_lib.report(
      chunk, index_of, records, skipped, attempts=1, may_give_up=True
    )
    kept = chunk.failures == 0
    return NumberedImages(*(tf.boolean_mask(x, kept) for x in loaded))

  dataset = loading.load_chunks(
    load,
    index_of,
    start=start,
    stop=records.num_images,
    chunk_size=min(32, batch_size),
    attempts=1,
  )
  dataset = dataset.map(usable).unbatch().batch(batch_size)
  return dataset.prefetch(tf.data.AUTOTUNE)


def _square(image: tf.Tensor, size: int) -> tf.Tensor:
  """[H, W, 3] uint8 -> [size, size, 3] uint8."""
  sides = tf.shape(image)[:2]
  short = tf.reduce_min(sides)
  y, x = tf.unstack((sides - short) // 2)
  return resize.resize(image[y : y + short, x : x + short], [size, size])


def _middle(image: tf.Tensor, size: int) -> tf.Tensor:
  """[H, W, 3] uint8 -> [size, size, 3] uint8."""
  sides = tf.cast(tf.shape(image)[:2], tf.float32)  # height, width
  short = tf.reduce_min(sides)
  fits = (sides[0] == sides[1]) & (short <= size)
  target = tf.where(fits, float(size), round(size * _MARGIN))
  resized = tf.floor(sides * (target / short) + 1e-3)  # As torchvision's int().
  offset = tf.round((resized - size) / 2)
  return resize.resize(
    image, [size, size], scale=resized / sides, offset=offset
  )
