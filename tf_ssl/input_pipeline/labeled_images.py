"""Labeled images: in order for evaluation, randomly cropped for fine-tuning."""

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.augment import recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import numbered_images, order, view_batches
from tf_ssl.input_pipeline import skipped as skipped_lib


def labeled_images(
  records: records_lib.ImageRecords,
  *,
  image_size: int,
  batch_size: int,
  skipped: skipped_lib.SkippedFiles | None = None,
) -> tf.data.Dataset:
  """Returns center crops of all images, once, in the order of the records.

  Args:
    records: images; those without labels get the label -1.
    image_size: height and width of the crops, pixels; see `numbered_images`,
      framing "middle".
    batch_size: number of images in a batch, B; the last batch may be smaller.
    skipped: record of unusable images, which are left out; by default they are
      only logged.

  Returns:
    A dataset of `batches.LabeledImage`: image [B, image_size, image_size, 3]
    uint8, label [B] int32.

  Raises:
    UsageError: `image_size` < 2 or `batch_size` < 1.
  """
  if records.labels is None:
    labels = tf.fill([records.num_images], -1)
  else:
    labels = tf.constant(records.labels, tf.int32)
  dataset = numbered_images.numbered_images(
    records, image_size=image_size, batch_size=batch_size, skipped=skipped
  )
  return dataset.map(
    lambda images: batches.LabeledImage(
      images.image, tf.gather(labels, images.index)
    )
  )


def labeled_crops(
  records: records_lib.ImageRecords,
  *,
  image_size: int,
  batch_size: int,
  seed: int,
  num_steps: int,
  start_step: int = 0,
  min_area: float = 0.08,
  skipped: skipped_lib.SkippedFiles | None = None,
) -> tf.data.Dataset:
  """Returns randomly cropped and flipped batches for each training step.

  The batch of a step is a pure function of (seed, step).

  Args:
    records: labeled images.
    image_size: height and width of the crops, pixels.
    batch_size: number of examples in a batch, B, at most that of the dataset.
    seed: seed of the run.
    num_steps: number of steps of the run, counted from step 0.
    start_step: first step to make a batch for.
    min_area: minimum area of a crop, as a fraction of the image; torchvision's
      0.08 by default.
    skipped: record of unusable images; by default they are only logged.

  Returns:
    A dataset of `batches.LabeledImage` for steps start_step..num_steps-1: image
    [B, image_size, image_size, 3] uint8, label [B] int32.

  Raises:
    UsageError: an argument is out of range, see `view_batches`.
  """
  dataset = view_batches.view_batches(
    records,
    recipe=recipes.supervised(min_area=min_area),
    image_size=image_size,
    batch_size=batch_size,
    seed=seed,
    num_steps=num_steps,
    start_step=start_step,
    view_type=batches.LabeledImage,
    finish_views=False,  # Finishing would normalize for this project's models.
    skipped=skipped,
  )

  def flipped(
    step: tf.Tensor, batch: batches.LabeledImage
  ) -> batches.LabeledImage:
    draws = tf.random.stateless_uniform(
      [batch_size], order.view_seed(seed, step, 0), alg="philox"
    )
    images = tf.where(
      draws[:, None, None, None] < 0.5,
      tf.reverse(batch.image, [2]),
      batch.image,
    )
    return batch._replace(image=images)

  return dataset.enumerate(start_step).map(flipped)
