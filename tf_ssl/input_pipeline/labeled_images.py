"""Images with their labels, in order and without augmentation: evaluation."""

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib


def labeled_images(
  records: records_lib.ImageRecords,
  *,
  image_size: int,
  batch_size: int,
  skipped: skipped_lib.SkippedFiles | None = None,
) -> tf.data.Dataset:
  """All images once, in the order of the records, their middle cut out.

  Args:
    records: the images; those without labels get -1.
    image_size: pixels a side; see `numbered_images`, framing "middle".
    batch_size: images in a batch, B; the last batch may be smaller.
    skipped: where unusable images, which are left out, are counted; a
      `SkippedFiles` that only logs them by default.

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
