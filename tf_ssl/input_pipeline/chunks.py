"""Loading that outlives bad files without moving any other example.

tf.data cannot catch an error inside a map, only drop the element, and then
every later example would move up by one. So examples are loaded in chunks: if
any of a chunk fails, the chunk is dropped and made again, example by example,
each with substitutes until one can be used.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

MAX_ATTEMPTS = 8


class Chunk(NamedTuple):
  """Consecutive examples.

  Attributes:
    first: [] int64, number of the first example.
    loaded: what the load function yielded, [c, ...] each.
    failures: [c] int32, how many attempts failed before the one that is here;
      the number of attempts where all failed, and `loaded` holds zeros.
  """

  first: tf.Tensor
  loaded: Any
  failures: tf.Tensor


def load_chunks(
  load: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset],
  index_of: Callable[[tf.Tensor, Any], tf.Tensor],
  *,
  start: int,
  stop: int,
  chunk_size: int,
  attempts: int = MAX_ATTEMPTS,
  deterministic: bool = True,
) -> tf.data.Dataset:
  """Loads examples start..stop-1 in parallel, in order.

  Args:
    load: from the chunk's first example ([] int64), places in the chunk ([n]
      int64) and images ([n] int64) to a dataset of n elements of static shape,
      which fails where an image cannot be used. Pure.
    index_of: from examples, [n] or [] int64, and the number of the attempt to
      images. Pure.
    start: the first example.
    stop: one past the last example.
    chunk_size: examples in a chunk; the last chunk may be shorter.
    attempts: how often to try.
    deterministic: whether chunks must keep their order.

  Returns:
    A dataset of `Chunk`.
  """

  def one_chunk(first: tf.Tensor) -> tf.data.Dataset:
    count = tf.minimum(tf.constant(chunk_size, tf.int64), stop - first)
    places = tf.range(count)
    whole = load(first, places, index_of(first + places, 0))
    # drop_remainder: what is left after an error is no whole chunk any more.
    whole = whole.batch(count, drop_remainder=True)
    whole = whole.ignore_errors(log_warning=False)
    whole = whole.map(lambda x: Chunk(first, x, tf.zeros([count], tf.int32)))

    def one_example(place: tf.Tensor) -> tf.data.Dataset:
      def one_attempt(attempt: tf.Tensor) -> tf.data.Dataset:
        index = index_of(first + place, attempt)
        tried = load(first, place[None], index[None]).take(1)
        tried = tried.ignore_errors(log_warning=False)
        return tried.map(lambda x: (x, tf.cast(attempt, tf.int32)))

      tries = tf.data.Dataset.range(attempts).flat_map(one_attempt)
      zeros = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), tries.element_spec[0]
      )
      given_up = tf.data.Dataset.from_tensors((zeros, attempts))
      return tries.concatenate(given_up).take(1)

    mended = tf.data.Dataset.range(count).flat_map(one_example).batch(count)
    mended = mended.map(lambda x, failures: Chunk(first, x, failures))
    return whole.concatenate(mended).take(1)

  dataset = tf.data.Dataset.range(start, stop, chunk_size)
  return dataset.interleave(
    one_chunk,
    cycle_length=tf.data.AUTOTUNE,
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=deterministic,
  )
