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


def image_index(example: tf.Tensor, *, seed: int, num_images: int) -> tf.Tensor:
  """The image that example number `example` of a run shows.

  Every image comes once an epoch, in an order drawn anew for each epoch.

  Args:
    example: [] int64, counts from the start of the run.
    seed: the run's.
    num_images: N.

  Returns:
    [] int64 in 0..N-1.
  """
  epoch, position = example // num_images, example % num_images
  return tf.random.experimental.index_shuffle(
    position,
    seed=tf.stack([tf.constant(key(seed, "shuffle"), tf.int64), epoch]),
    max_index=tf.constant(num_images - 1, tf.int64),
  )


def substitute_index(
  example: tf.Tensor, attempt: tf.Tensor, *, seed: int, num_images: int
) -> tf.Tensor:
  """The image that stands in after `attempt` >= 1 undecodable ones."""
  return tf.random.stateless_uniform(
    [],
    seed=tf.stack(
      [key(seed, "substitute") + tf.cast(attempt, tf.int64), example]
    ),
    maxval=num_images,
    dtype=tf.int64,
    alg="philox",
  )


def crop_seed(seed: int, example: tf.Tensor) -> tf.Tensor:
  """[2] int64: the seed of the windows of example number `example`."""
  return tf.stack([tf.constant(key(seed, "crop"), tf.int64), example])


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
