"""Views of every image: the batches that methods train on."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.augment import crop, recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import (
  chunks,
  data_service,
  finishing,
  heap,
  loading,
  order,
  views,
)
from tf_ssl.input_pipeline import skipped as skipped_lib

# Pixels a side and view. Many examples are loaded at a time, so that starting
# does not count; few are finished, so that they stay in a core's cache.
_LOADED_PIXELS = 2**21
_FINISHED_PIXELS = 2**19
_MOST, _FEWEST = 64, 4
_NO_END = 2**62  # examples


class Share(NamedTuple):
  """Which part of every global batch is made here.

  Attributes:
    number: which of the equal, contiguous parts.
    count: how many there are: the processes that train together.
  """

  number: int = 0
  count: int = 1


WHOLE = Share()


@tf.autograph.experimental.do_not_convert  # halves the time to build
def view_batches(
  records: records_lib.ImageRecords,
  *,
  recipe: recipes.Recipe | Sequence[recipes.Recipe],
  image_size: int,
  batch_size: int,
  seed: int,
  num_steps: int,
  start_step: int = 0,
  view_type: type = batches.ImagePair,
  finish_views: bool = True,
  share: Share = WHOLE,
  skipped: skipped_lib.SkippedFiles | None = None,
  deterministic: bool = True,
  service: data_service.DataService | None = None,
) -> tf.data.Dataset:
  """Batches for steps start_step..num_steps-1.

  The batch of a step is a pure function of (seed, step). An image that cannot
  be used is replaced by another, which (seed, step) and its place determine.

  Args:
    records: the images.
    recipe: how views are made: one for all, or one for each.
    image_size: pixels a side of a view.
    batch_size: examples in a global batch, B.
    seed: the run's.
    num_steps: where the run ends, counted from step 0.
    start_step: the first step to make a batch for.
    view_type: the batch of `types` to make: a view for each field that shows
      pixels, the record's number for `index`, its class for `label`.
    finish_views: whether the photometric half runs here. If not, views are the
      uint8 crops, for `finish(batch, step, ...)` in the train step.
    share: the part of every batch to make.
    skipped: where unusable images are counted; a `SkippedFiles` that only logs
      them by default.
    deterministic: False lets images come in the order in which they are ready.
    service: where to have them made; None for here. With a service, images come
      in the order in which they are ready, and some may be lost.

  Returns:
    A dataset of `view_type`, whose views are [B / share.count, image_size,
    image_size, 3], or what their recipe makes of that.

  Raises:
    UsageError: `image_size` < 2, fewer images than a batch, a batch that cannot
      be shared.
  """
  _check(
    records, image_size, batch_size, len(batches.view_fields(view_type)), share
  )
  if skipped is None:
    skipped = skipped_lib.SkippedFiles(None, records.num_images)
  heap.keep_freed_memory()
  view_recipes = finishing.recipe_of_each_view(recipe, view_type)
  source = loading.Source(records)
  # A chunk lies in a block, whose windows are drawn together, whoever makes it.
  block_size = _divisor(batch_size, _LOADED_PIXELS // image_size**2)
  local_size = batch_size // share.count
  chunk_size = math.gcd(block_size, local_size)
  group_size = _divisor(chunk_size, _FINISHED_PIXELS // image_size**2)

  def globally(examples: tf.Tensor) -> tf.Tensor:
    """From the numbers of examples made here to those in the whole run."""
    step, row = examples // local_size, examples % local_size
    return step * batch_size + share.number * local_size + row

  groups = None
  if records.examples is not None and records.examples.groups is not None:
    groups = order.Groups(
      records.examples.groups, seed=seed, batch_size=batch_size
    )

  def index_of(examples: tf.Tensor, attempt: int | tf.Tensor) -> tf.Tensor:
    if groups is not None:
      return groups.index(globally(examples), attempt)
    return order.image_index(
      globally(examples), attempt, seed=seed, num_images=records.num_examples
    )

  cut = views.view_loader(
    source,
    [views.View(r.crop, r.crop_size(image_size)) for r in view_recipes],
    portable=service is not None,
  )

  def load(
    first: tf.Tensor, places: tf.Tensor, indices: tf.Tensor
  ) -> tf.data.Dataset:
    first = globally(first)
    block = first - first % block_size
    draws = crop.draw(
      block_size, len(view_recipes), order.crop_seed(seed, block)
    )
    return cut(indices, tf.gather(draws, first - block + places))

  def finish(example: tf.Tensor, loaded: views.Loaded) -> views.Loaded:
    first = globally(example)
    step, offset = first // batch_size, first % batch_size
    return loaded._replace(crops=finisher(loaded.crops, step, offset))

  finisher = finishing.Finisher(
    recipe, view_type, seed=seed, batch_size=batch_size, compiled=True
  ).crops
  labels = _labels(records)

  def join(loaded: views.Loaded) -> Any:
    index = tf.reshape(loaded.index, [local_size])
    fields = {
      name: tf.reshape(x, [local_size, *x.shape[2:]])
      for name, x in zip(
        batches.view_fields(view_type), loaded.crops, strict=True
      )
    }
    if "index" in view_type._fields:
      fields["index"] = index
    if batches.is_labeled(view_type):
      fields["label"] = tf.gather(labels, index)
    return view_type(**fields)

  start, stop = start_step * local_size, num_steps * local_size
  dataset = chunks.load_chunks(
    load,
    index_of,
    start=start,
    stop=stop if service is None else _NO_END,
    chunk_size=chunk_size,
    deterministic=deterministic and service is None,
  )
  if service is not None:
    if finish_views:
      dataset = dataset.map(
        lambda c: c._replace(loaded=finish(c.first, c.loaded)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
      )
    dataset = service.distribute(dataset, start=start, chunk_size=chunk_size)
    dataset = dataset.take((stop - start) // chunk_size)
  dataset = dataset.map(
    lambda chunk: skipped_lib.report(chunk, index_of, records, skipped)
  )
  if finish_views and service is None:
    dataset = dataset.rebatch(group_size, drop_remainder=True)
    dataset = dataset.enumerate(start // group_size)
    dataset = dataset.map(
      lambda group, loaded: finish(group * group_size, loaded),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=deterministic,
    )
    dataset = dataset.batch(local_size // group_size, drop_remainder=True)
  else:
    dataset = dataset.batch(local_size // chunk_size, drop_remainder=True)
  dataset = dataset.map(join)
  options = tf.data.Options()
  options.deterministic = deterministic
  if deterministic:
    # With the ops' determinism on, these two leave the names of constants that
    # are gone, and no iterator can be made (TensorFlow 2.15, four views).
    options.experimental_optimization.map_and_batch_fusion = False
    options.experimental_optimization.noop_elimination = False
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.OFF  # `share` is how it is divided
  )
  return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _divisor(number: int, largest: int) -> int:
  """The largest divisor of `number` up to `largest`, itself within limits."""
  largest = min(max(largest, _FEWEST), _MOST)
  return max(d for d in range(1, largest + 1) if number % d == 0)


def _check(
  records: records_lib.ImageRecords,
  image_size: int,
  batch_size: int,
  num_views: int,
  share: Share,
) -> None:
  if image_size < 2:
    raise errors.UsageError(
      f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE"
    )
  if batch_size < 1:
    raise errors.UsageError(
      f"batch_size: got {batch_size}; expected at least 1; raise BATCH_SIZE"
    )
  if records.num_examples < batch_size:
    what = "images" if records.examples is None else "examples"
    raise errors.UsageError(
      f"batch_size: got {batch_size}, but there are only {records.num_examples}"
      f" {what}; lower BATCH_SIZE or give a folder with more images"
    )
  _check_examples(records, batch_size, num_views)
  if batch_size % share.count:
    raise errors.UsageError(
      f"batch_size: got {batch_size}, which {share.count} processes cannot"
      " share equally; change BATCH_SIZE to a multiple"
    )


def _check_examples(
  records: records_lib.ImageRecords, batch_size: int, num_views: int
) -> None:
  examples = records.examples
  if examples is None:
    return
  places = examples.images.shape[1]
  if places not in (1, num_views):
    raise errors.UsageError(
      f"examples show {places} images each, but the method's batch has"
      f" {num_views} views; expected as many, or 1; change the images or the"
      " method"
    )
  if examples.groups is None:
    return
  count = len(np.unique(examples.groups))
  if count < batch_size:
    raise errors.UsageError(
      f"batch_size: got {batch_size}, but there are only {count} videos, and a"
      " batch holds one pair of each at most; lower BATCH_SIZE, or allow more"
      " with SAME_VIDEO_IN_BATCH = True"
    )


def _labels(records: records_lib.ImageRecords) -> tf.Tensor | None:
  """[N] int32: an example's label is that of the first image it shows."""
  if records.labels is None:
    return None
  if records.examples is None:
    return tf.constant(records.labels)
  return tf.constant(records.labels[records.examples.images[:, 0]])
