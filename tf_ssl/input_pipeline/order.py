"""Which example comes when in a run, and which seeds its views get.

Everything is a pure function of the run's seed and of a position, so that
resuming at a step is starting to count there; no state is saved.
"""

import hashlib

import numpy as np
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
  """The examples of the dataset that come as examples of a run.

  Every one comes once an epoch, in an order drawn anew for each epoch. Where it
  cannot be used, later attempts give others drawn at random.

  Args:
    examples: [n] or [] int64, counted from the start of the run.
    attempt: 0; or [] int64, for one example.
    seed: the run's.
    num_images: N, examples in the dataset.

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


class Groups:
  """An order in which no batch holds two examples of one group.

  Goes round the groups: in every round each comes once at most, in an order
  drawn anew, and shows another of its examples. Those groups that would not
  fill a batch are left out of a round, others each time.

  Attributes:
    count: G, the number of groups.
  """

  def __init__(self, groups: np.ndarray, *, seed: int, batch_size: int):
    """Sorts the examples.

    Args:
      groups: [N] int, the group of each example of the dataset.
      seed: the run's.
      batch_size: B, at most the number of groups.
    """
    members = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(
      groups[members], return_index=True, return_counts=True
    )
    self.count = len(starts)
    self._seed, self._batch_size = seed, batch_size
    self._members = tf.constant(members.astype(np.int64))
    self._starts = tf.constant(starts.astype(np.int64))
    self._counts = tf.constant(counts.astype(np.int64))

  def index(
    self, examples: tf.Tensor, attempt: int | tf.Tensor = 0
  ) -> tf.Tensor:
    """The examples of the dataset that come as examples of a run.

    Args:
      examples: [n] or [] int64, counted from the start of the run.
      attempt: 0; or [] int64, for one example: another of its group.

    Returns:
      int64 in 0..N-1, of the shape of `examples`.
    """
    batches = self.count // self._batch_size  # in a round
    step, row = examples // self._batch_size, examples % self._batch_size
    turn, place = step // batches, step % batches * self._batch_size + row
    group = self._shuffled(
      "group",
      place,
      turn,
      tf.zeros_like(turn),
      tf.fill(tf.shape(turn), self.count),
    )
    count = tf.gather(self._counts, group)
    if not (isinstance(attempt, int) and attempt == 0):
      turn += tf.cast(attempt, tf.int64) * (1 + count // 2)
    member = self._shuffled("member", turn % count, turn // count, group, count)
    return tf.gather(self._members, tf.gather(self._starts, group) + member)

  def _shuffled(self, purpose, index, *seeds_and_count):
    *seeds, count = seeds_and_count
    purpose = tf.fill(
      tf.shape(index), tf.constant(key(self._seed, purpose), tf.int64)
    )
    return tf.raw_ops.RandomIndexShuffle(
      index=index,
      seed=tf.stack([purpose, *seeds], axis=-1),
      max_index=tf.cast(count, tf.int64) - 1,
      rounds=4,
    )


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
