"""Which image is example i of a run, and which seeds its views get.

Everything is a pure function of the run's seed and of a position, so that
resuming at a step is starting to count there; no state is saved.
"""

import hashlib

import tensorflow as tf


def key(seed: int, purpose: str) -> int:
  """A 31-bit number that differs by seed and by purpose."""
  text = f"{seed}/{purpose}".encode()
  return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def image_index(
  examples: tf.Tensor,
  attempt: int | tf.Tensor = 0,
  *,
  seed: int,
  num_images: int,
) -> tf.Tensor:
  """The images that examples of a run show.

  Every image comes once an epoch, in an order drawn anew for each epoch. Where
  it cannot be used, later attempts give images drawn at random.

  Args:
    examples: [n] or [] int64, counted from the start of the run.
    attempt: 0; or [] int64, for one example.
    seed: the run's.
    num_images: N.

  Returns:
    int64 in 0..N-1, of the shape of `examples`.
  """
  epoch, position = examples // num_images, examples % num_images
  purpose = tf.fill(tf.shape(epoch), tf.constant(key(seed, "order"), tf.int64))
  # tf.random.experimental.index_shuffle, which takes a single index only.
  indices = tf.raw_ops.RandomIndexShuffle(
    index=position,
    seed=tf.stack([purpose, epoch, tf.zeros_like(epoch)], axis=-1),
    max_index=tf.constant(num_images - 1, tf.int64),
    rounds=4,
  )
  if isinstance(attempt, int) and attempt == 0:
    return indices
  attempt = tf.cast(attempt, tf.int64)
  substitute = tf.random.stateless_uniform(
    [],
    seed=tf.stack([key(seed, "substitute") + attempt, examples]),
    minval=0,
    maxval=num_images,
    dtype=tf.int64,
    alg="philox",
  )
  return tf.where(attempt == 0, indices, substitute)


def crop_seed(seed: int, first: tf.Tensor) -> tf.Tensor:
  """[2] int64: the seed of the windows of the chunk that begins at `first`."""
  return tf.stack([tf.constant(key(seed, "crop"), tf.int64), first])


def view_seed(seed: int, step: tf.Tensor, view: int) -> tf.Tensor:
  """The seed that `Recipe.finish` gets for one side of a batch.

  Args:
    seed: the run's.
    step: [] integer, the training step, from 0.
    view: 0 for the query, 1 for the key.

  Returns:
    [2] int32.
  """
  return tf.stack(
    [
      tf.constant(key(seed, f"finish view {view}"), tf.int32),
      tf.cast(step, tf.int32),
    ]
  )
