"""Two views of every image: the batches that contrastive methods train on."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl import types
from tf_ssl.augment import crop
from tf_ssl.augment import recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import loading
from tf_ssl.input_pipeline import order
from tf_ssl.input_pipeline import skipped as skipped_lib

view_seed = order.view_seed


def image_pairs(
  records: records_lib.ImageRecords,
  *,
  recipe: recipes.Recipe,
  image_size: int,
  batch_size: int,
  seed: int,
  num_steps: int,
  start_step: int = 0,
  finish_views: bool = True,
  skipped: skipped_lib.SkippedFiles | None = None,
  deterministic: bool = True,
) -> tf.data.Dataset:
  """Batches of view pairs for steps start_step..num_steps-1.

  The batch of a step is a pure function of (seed, step).

  Args:
    records: the images.
    recipe: how views are made.
    image_size: pixels a side of a view.
    batch_size: pairs in a batch, B.
    seed: the run's.
    num_steps: where the run ends, counted from step 0.
    start_step: the first step to make a batch for.
    finish_views: whether the photometric half runs here. If not, views are the
      uint8 crops, for `recipe.finish` in the train step.
    skipped: where undecodable images are counted.
    deterministic: False lets batches come in the order in which they are ready.

  Returns:
    A dataset of `types.ImagePair`, [B, image_size, image_size, 3] each.

  Raises:
    UsageError: `image_size` < 2, or fewer images than a batch.
  """
  if image_size < 2:
    raise errors.UsageError(
      f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE"
    )
  if records.num_images < batch_size:
    raise errors.UsageError(
      f"batch_size: got {batch_size}, but there are only {records.num_images} "
      "images; lower BATCH_SIZE or give a folder with more images"
    )
  load = loading.byte_loader(records)

  def crops(example: tf.Tensor) -> tf.Tensor:
    index = order.image_index(example, seed=seed, num_images=records.num_images)
    image = tf.io.decode_image(load(index), 3, expand_animations=False)
    shape = tf.shape(image)
    windows = crop.random_windows(
      shape[0],
      shape[1],
      crop=recipe.crop,
      num_windows=2,
      seed=order.crop_seed(seed, example),
    )
    views = []
    for view in range(2):
      y, x, h, w = tf.unstack(windows[view])
      views.append(crop.resize(image[y : y + h, x : x + w], image_size))
    return types.ImagePair(*views)

  dataset = tf.data.Dataset.range(
    start_step * batch_size, num_steps * batch_size
  )
  dataset = dataset.map(
    crops, num_parallel_calls=tf.data.AUTOTUNE, deterministic=deterministic
  )
  dataset = dataset.batch(batch_size, drop_remainder=True)
  if finish_views:

    def finish(step: tf.Tensor, pair: types.ImagePair) -> types.ImagePair:
      return types.ImagePair(
        *(
          recipe.finish(images, view_seed(seed, step, view))
          for view, images in enumerate(pair)
        )
      )

    dataset = dataset.enumerate(start_step).map(
      finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=deterministic
    )
  return dataset.prefetch(tf.data.AUTOTUNE)
