"""The batches of views that methods train on."""

import ctypes
import functools
import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.augment import background_change, crop, croppers, recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import (
  changed_backgrounds,
  data_service,
  decoded_images,
  loading,
  order,
  views,
)
from tf_ssl.input_pipeline import skipped as skipped_lib

# Pixels of a view that are processed at once. Many examples are loaded at once,
# which amortizes the start; few are finished, which keeps them in a core's
# cache.
_LOADED_PIXELS = 2**21
_FINISHED_PIXELS = 2**19
_MOST, _FEWEST = 64, 4  # Limits of the number of examples.
_NO_END = 2**62  # Number of examples.

# From glibc's malloc.h; the mmap threshold has its maximum value.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20
_KEPT = 256 << 20


class Share(NamedTuple):
  """The part of every global batch that this process makes.

  Attributes:
    number: number of the part; parts are equal and contiguous.
    count: number of parts, which is the number of training processes.
  """

  number: int = 0
  count: int = 1


WHOLE = Share()


@tf.autograph.experimental.do_not_convert  # Halves the time to build.
def view_batches(
  records: records_lib.ImageRecords,
  *,
  recipe: recipes.Recipe | Sequence[recipes.Recipe],
  image_size: int,
  batch_size: int,
  seed: int,
  num_steps: int,
  start_step: int = 0,
  earlier: Sequence[order.Span] = (),
  view_type: type = batches.ImagePair,
  decoded: decoded_images.DecodedImages | None = None,
  cropper: croppers.Cropper | None = None,
  change: background_change.BackgroundChange | None = None,
  finish_views: bool = True,
  share: Share = WHOLE,
  skipped: skipped_lib.SkippedFiles | None = None,
  deterministic: bool = True,
  service: data_service.DataService | None = None,
) -> tf.data.Dataset:
  """Returns batches of views for steps start_step..num_steps-1.

  The batch of a step is a pure function of (seed, step). An image that cannot
  be used is replaced by another, which depends on (seed, step) and its row.

  Args:
    records: images of the dataset.
    recipe: recipe of all views, or a recipe for each view; see
      `views.recipe_of_each_view`.
    image_size: height and width of a view, pixels.
    batch_size: number of examples in a global batch, B.
    seed: seed of the run.
    num_steps: number of steps of the run, counted from step 0.
    start_step: first step to make a batch for.
    earlier: steps 0, 1, ... of the run that have other batch sizes. The epochs
      continue after them.
    view_type: type of `batches` to make: with a view for each field of pixels,
      the record's number in `index`, its class in `label`.
    decoded: all images, already decoded, from `decoded_images.decode_all`; None
      to decode them. Not with a service.
    cropper: chooses the windows of an example by its objects; None for windows
      anywhere in the image, as without `records.objects`.
    change: change of the views' background; None for none, as without
      `records.masks`.
    finish_views: whether the photometric part of the recipe runs here. If not,
      views are the uint8 crops, for `views.Finisher` in the train step.
    share: part of every batch to make.
    skipped: record of unusable images; by default they are only logged.
    deterministic: whether images keep their order; if not, they arrive in the
      order in which they are ready.
    service: tf.data service that makes the views; None to make them here. With
      a service, images arrive in the order in which they are ready, and some
      may be lost.

  Returns:
    A dataset of `view_type` with views [B / share.count, image_size,
    image_size, 3], or the recipe's output for them, such as several crops.

  Raises:
    UsageError: `image_size` < 2, the dataset has fewer examples than a batch,
      or the batch cannot be divided among the processes.
  """
  check(records, image_size, batch_size, view_type)
  errors.require(
    batch_size % share.count == 0,
    f"batch_size: got {batch_size}, which {share.count} processes cannot"
    " divide equally; change BATCH_SIZE to a multiple",
  )
  if skipped is None:
    skipped = skipped_lib.SkippedFiles(None, records.num_images)
  keep_freed_memory()
  view_recipes = views.recipe_of_each_view(recipe, view_type)
  source = loading.Source(records)
  # A chunk is part of a block, whose windows are drawn together in any process.
  block_size = _divisor(batch_size, _LOADED_PIXELS // image_size**2)
  local_size = batch_size // share.count
  chunk_size = math.gcd(block_size, local_size)
  group_size = _divisor(chunk_size, _FINISHED_PIXELS // image_size**2)

  def globally(examples: tf.Tensor) -> tf.Tensor:
    """Maps numbers of examples made here to batch_size * step + row."""
    step, row = examples // local_size, examples % local_size
    return step * batch_size + share.number * local_size + row

  # What to add for positions from the start of the run.
  shift = sum(s.steps * (s.batch_size - batch_size) for s in earlier)

  groups = None
  if records.examples is not None and records.examples.groups is not None:
    groups = order.Groups(
      records.examples.groups,
      seed=seed,
      batch_size=batch_size,
      earlier=earlier,
    )

  def index_of(examples: tf.Tensor, attempt: int | tf.Tensor) -> tf.Tensor:
    if groups is not None:
      return groups.index(globally(examples), attempt)
    return order.image_index(
      globally(examples) + shift,
      attempt,
      seed=seed,
      num_images=records.num_examples,
    )

  shown = [views.view_of(r, image_size) for r in view_recipes]
  num_windows = sum(view.num_windows for view in shown)
  if not source.has_objects:
    cropper = None
  options_of_loader = {
    "decoded": decoded,
    "cropper": cropper,
    "portable": service is not None,
  }
  changes = change is not None and records.masks is not None
  if changes:
    cut = changed_backgrounds.background_loader(
      records, shown, change, **options_of_loader
    )
  else:
    cut = views.view_loader(source, shown, **options_of_loader)

  def load(
    first: tf.Tensor, places: tf.Tensor, indices: tf.Tensor
  ) -> tf.data.Dataset:
    first = globally(first)
    block = first - first % block_size
    draws = crop.draw(
      block_size, num_windows, order.crop_seed(seed, block + shift)
    )
    rows = first - block + places
    more = [None]
    if cropper is not None:
      more = [
        tf.random.stateless_uniform(
          [block_size, croppers.NUM_DRAWS],
          order.box_seed(seed, block + shift),
          alg="philox",
        )
      ]
    if changes:
      place = order.background_seed(seed, block + shift)
      more += [
        tf.random.stateless_uniform(
          [block_size, 1 + num_windows], place, alg="philox"
        ),
        crop.draw(
          block_size, num_windows, place + tf.constant([1 << 32, 0], tf.int64)
        ),
      ]
    of_rows = (x if x is None else tf.gather(x, rows) for x in more)
    return cut(indices, tf.gather(draws, rows), *of_rows)

  def finish(example: tf.Tensor, loaded: views.Loaded) -> views.Loaded:
    first = globally(example)
    step, offset = first // batch_size, first % batch_size
    return loaded._replace(crops=finisher(loaded.crops, step, offset))

  finisher = views.Finisher(
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
  dataset = loading.load_chunks(
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
    lambda chunk: skipped_lib.report(
      chunk, index_of, records, skipped, portable=service is not None
    )
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
    # With deterministic ops, these two leave references to removed constants,
    # and no iterator can be created (TensorFlow 2.15, four views).
    options.experimental_optimization.map_and_batch_fusion = False
    options.experimental_optimization.noop_elimination = False
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.OFF  # `share` divides the batches.
  )
  return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _divisor(number: int, largest: int) -> int:
  """Returns the largest divisor of `number` up to `largest`, within limits."""
  largest = min(max(largest, _FEWEST), _MOST)
  return max(d for d in range(1, largest + 1) if number % d == 0)


def check(
  records: records_lib.ImageRecords,
  image_size: int,
  batch_size: int,
  view_type: type,
) -> None:
  """Raises UsageError if the records do not suffice for batches of views.

  Args:
    records: images of the dataset.
    image_size: height and width of a view, pixels.
    batch_size: number of examples in a global batch, B.
    view_type: type of `batches`.
  """
  errors.require(
    image_size >= 2,
    f"image_size: got {image_size}; expected at least 2 px; raise IMAGE_SIZE",
  )
  errors.require(
    batch_size >= 1,
    f"batch_size: got {batch_size}; expected at least 1; raise BATCH_SIZE",
  )
  what = "images" if records.examples is None else "examples"
  errors.require(
    records.num_examples >= batch_size,
    f"batch_size: got {batch_size}, but there are only {records.num_examples}"
    f" {what}; lower BATCH_SIZE or use a dataset with more images",
  )
  _check_examples(records, batch_size, len(batches.view_fields(view_type)))


def _check_examples(
  records: records_lib.ImageRecords, batch_size: int, num_views: int
) -> None:
  examples = records.examples
  if examples is None:
    return
  places = examples.images.shape[1]
  errors.require(
    places in (1, num_views),
    f"examples have {places} images each, but the method's batch has"
    f" {num_views} views; expected {num_views} images, or 1; change the images"
    " or the method",
  )
  if examples.groups is None:
    return
  count = len(np.unique(examples.groups))
  errors.require(
    count >= batch_size,
    f"batch_size: got {batch_size}, but there are only {count} videos, and a"
    " batch has at most one pair of each; lower BATCH_SIZE, or allow more"
    " with SAME_VIDEO_IN_BATCH = True",
  )


def _labels(records: records_lib.ImageRecords) -> tf.Tensor | None:
  """Returns [N] int32, the label of each example's first image, or None."""
  if records.labels is None:
    return None
  if records.examples is None:
    return tf.constant(records.labels)
  return tf.constant(records.labels[records.examples.images[:, 0]])


@functools.cache
def keep_freed_memory() -> bool:
  """Makes the C library keep up to 256 MiB of freed memory for reuse.

  By default glibc returns large blocks to the kernel at once, and a batch
  spends a third of its time on zeroing and mapping the same pages again. The
  setting holds for the process. It does nothing with other C libraries.

  Returns:
    Whether the setting was made.
  """
  if not sys.platform.startswith("linux"):
    return False
  try:
    mallopt = ctypes.CDLL(None).mallopt
  except AttributeError:
    return False
  return bool(
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    and mallopt(_M_TRIM_THRESHOLD, _KEPT)
  )
