"""Two views of every image: the batches that contrastive methods train on."""

import tensorflow as tf

from tf_ssl import errors, types
from tf_ssl.augment import crop, recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import chunks, heap, loading, order, views
from tf_ssl.input_pipeline import skipped as skipped_lib

# Pixels a side and view. Many examples are loaded at a time, so that starting
# does not count; few are finished, so that they stay in a core's cache.
_LOADED_PIXELS = 2**21
_FINISHED_PIXELS = 2**19
_MOST, _FEWEST = 64, 4

view_seed = order.view_seed


@tf.autograph.experimental.do_not_convert  # halves the time to build
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

  The batch of a step is a pure function of (seed, step). An image that cannot
  be used is replaced by another, which (seed, step) and its place determine.

  Args:
    records: the images.
    recipe: how views are made.
    image_size: pixels a side of a view.
    batch_size: pairs in a batch, B.
    seed: the run's.
    num_steps: where the run ends, counted from step 0.
    start_step: the first step to make a batch for.
    finish_views: whether the photometric half runs here. If not, views are the
      uint8 crops, for `recipe.finish(views, view_seed(seed, step, view))` in
      the train step; view 0 is the query, 1 the key.
    skipped: where unusable images are counted; a `SkippedFiles` that only logs
      them by default.
    deterministic: False lets images come in the order in which they are ready.

  Returns:
    A dataset of `types.ImagePair`, [B, image_size, image_size, 3] each.

  Raises:
    UsageError: `image_size` < 2, or fewer images than a batch.
  """
  _check(records, image_size, batch_size)
  if skipped is None:
    skipped = skipped_lib.SkippedFiles(None, records.num_images)
  heap.keep_freed_memory()
  source = loading.Source(records)
  chunk_size = _divisor(batch_size, _LOADED_PIXELS // image_size**2)
  group_size = _divisor(chunk_size, _FINISHED_PIXELS // image_size**2)

  def index_of(examples: tf.Tensor, attempt: int | tf.Tensor) -> tf.Tensor:
    return order.image_index(
      examples, attempt, seed=seed, num_images=records.num_images
    )

  cut = views.pair_loader(source, crop=recipe.crop, size=image_size)

  def load(
    first: tf.Tensor, places: tf.Tensor, indices: tf.Tensor
  ) -> tf.data.Dataset:
    draws = crop.draw(chunk_size, views.NUM_VIEWS, order.crop_seed(seed, first))
    return cut(indices, tf.gather(draws, places))

  @tf.function(autograph=False)  # traced once for both views
  def finish_view(
    images: tf.Tensor, view_seed: tf.Tensor, offset: tf.Tensor
  ) -> tf.Tensor:
    return recipe.finish(
      images, view_seed, offset=offset, total=batch_size, compiled=True
    )

  def finish(group: tf.Tensor, pair: types.ImagePair) -> types.ImagePair:
    first = group * group_size
    step, offset = first // batch_size, first % batch_size
    return types.ImagePair(
      *(
        finish_view(images, view_seed(seed, step, view), offset)
        for view, images in enumerate(pair)
      )
    )

  def join(pair: types.ImagePair) -> types.ImagePair:
    shape = [batch_size, image_size, image_size, 3]
    return types.ImagePair(*(tf.reshape(x, shape) for x in pair))

  dataset = chunks.load_chunks(
    load,
    index_of,
    start=start_step * batch_size,
    stop=num_steps * batch_size,
    chunk_size=chunk_size,
    deterministic=deterministic,
  )
  dataset = dataset.map(
    lambda chunk: skipped_lib.report(chunk, index_of, records, skipped)
  )
  if finish_views:
    dataset = dataset.rebatch(group_size, drop_remainder=True)
    dataset = dataset.enumerate(start_step * batch_size // group_size)
    dataset = dataset.map(
      finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=deterministic
    )
    dataset = dataset.batch(batch_size // group_size, drop_remainder=True)
  else:
    dataset = dataset.batch(batch_size // chunk_size, drop_remainder=True)
  dataset = dataset.map(join)
  options = tf.data.Options()
  options.deterministic = deterministic
  return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _divisor(number: int, largest: int) -> int:
  """The largest divisor of `number` up to `largest`, itself within limits."""
  largest = min(max(largest, _FEWEST), _MOST)
  return max(d for d in range(1, largest + 1) if number % d == 0)


def _check(
  records: records_lib.ImageRecords, image_size: int, batch_size: int
) -> None:
  if image_size < 2:
    raise errors.UsageError(
      f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE"
    )
  if batch_size < 1:
    raise errors.UsageError(
      f"batch_size: got {batch_size}; expected at least 1; raise BATCH_SIZE"
    )
  if records.num_images < batch_size:
    raise errors.UsageError(
      f"batch_size: got {batch_size}, but there are only {records.num_images} "
      "images; lower BATCH_SIZE or give a folder with more images"
    )
