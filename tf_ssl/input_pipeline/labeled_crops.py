"""Random crops of labeled images, mirrored at random: for fine-tuning."""

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.augment import recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import order, view_batches
from tf_ssl.input_pipeline import skipped as skipped_lib


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
  """Batches for steps start_step..num_steps-1, cut and mirrored.

  The batch of a step is a pure function of (seed, step).

  Args:
    records: labeled images.
    image_size: pixels a side.
    batch_size: B, at most the number of examples.
    seed: the run's.
    num_steps: where the run ends, counted from step 0.
    start_step: the first step to make a batch for.
    min_area: smallest area of a crop, as a share of the image's; torchvision's
      0.08 by default.
    skipped: where unusable images are counted.

  Returns:
    A dataset of `batches.LabeledImage`: image [B, image_size, image_size, 3]
    uint8, label [B] int32.

  Raises:
    UsageError: as `view_batches`.
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
    finish_views=False,  # which would normalize for this project's encoders
    skipped=skipped,
  )

  def mirrored(
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

  return dataset.enumerate(start_step).map(mirrored)
