"""Order of the examples of a run, and seeds of their views.

Everything is a pure function of the run's seed and a position. A run is resumed
by counting from its step; no state is saved.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Span(NamedTuple):
  """Consecutive steps of a run with one batch size.

  Attributes:
    steps: number of steps.
    batch_size: number of examples in a global batch.
  """

  steps: int
  batch_size: int

  def longer(self, steps: int) -> "Span":
    """The span with further steps at its end."""
    return self._replace(steps=self.steps + steps)


def key(seed: int, purpose: str) -> int:
  """Returns a 31-bit seed for one purpose of a run."""
  text = f"{seed}/{purpose}".encode()
  return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def image_index(
  examples: tf.Tensor,
  attempt: int | tf.Tensor = 0,
  *,
  seed: int,
  num_images: int,
) -> tf.Tensor:
  """Returns the images of the dataset at positions of a run.

  Each image appears once per epoch, in a new random order per epoch. If one
  cannot be used, later attempts return random substitutes.

  Args:
    examples: [n] or [] int64, positions from the start of the run.
    attempt: number of the attempt; 0, or [] int64 for one position.
    seed: seed of the run.
    num_images: number of examples in the dataset, N.

  Returns:
    Image numbers, int64 in 0..N-1, with the shape of `examples`.
  """
  epoch, position = examples // num_images, examples % num_images
  indices = _shuffled(
    key(seed, "order"), position, epoch, tf.zeros_like(epoch), num_images
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
  """An order in which no batch has two examples of one group.

  In each round, every group appears at most once, in a new random order, with
  another of its examples. The groups that do not fill a batch are left out of
  the round; they differ from round to round.

  Attributes:
    count: number of groups, G.
  """

  def __init__(
    self,
    groups: np.ndarray,
    *,
    seed: int,
    batch_size: int,
    earlier: Sequence[Span] = (),
  ):
    """Sorts the examples by group.

    Args:
      groups: [N] int, group of each example of the dataset.
      seed: seed of the run.
      batch_size: number of examples in a batch, B, at most the number of
        groups.
      earlier: earlier steps of the run with other batch sizes; a round ends
        with them.
    """
    members = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(
      groups[members], return_index=True, return_counts=True
    )
    self.count = len(starts)
    self._seed, self._batch_size = seed, batch_size
    self._first_step = sum(span.steps for span in earlier)
    self._first_turn = sum(
      math.ceil(span.steps / (self.count // span.batch_size))
      for span in earlier
    )
    self._members = tf.constant(members.astype(np.int64))
    self._starts = tf.constant(starts.astype(np.int64))
    self._counts = tf.constant(counts.astype(np.int64))

  def index(
    self, examples: tf.Tensor, attempt: int | tf.Tensor = 0
  ) -> tf.Tensor:
    """Returns the examples of the dataset at positions of a run.

    Args:
      examples: [n] or [] int64, batch_size * step + row of the batch.
      attempt: number of the attempt; 0, or [] int64 for one position: later
        attempts return other examples of the group.

    Returns:
      Example numbers, int64 in 0..N-1, with the shape of `examples`.
    """
    batches = self.count // self._batch_size  # Per round.
    step, row = examples // self._batch_size, examples % self._batch_size
    step -= self._first_step
    turn = step // batches + self._first_turn
    place = step % batches * self._batch_size + row
    group = _shuffled(
      key(self._seed, "group"), place, turn, tf.zeros_like(turn), self.count
    )
    count = tf.gather(self._counts, group)
    if not (isinstance(attempt, int) and attempt == 0):
      turn += tf.cast(attempt, tf.int64) * (1 + count // 2)
    member = _shuffled(
      key(self._seed, "member"), turn % count, turn // count, group, count
    )
    return tf.gather(self._members, tf.gather(self._starts, group) + member)


def _shuffled(purpose: int, index, turn, group, count) -> tf.Tensor:
  """Permutes 0..count-1 by the seed (purpose, turn, group); [n] or [] int64."""
  # tf.random.experimental.index_shuffle accepts only a single index.
  purpose = tf.fill(tf.shape(index), tf.constant(purpose, tf.int64))
  return tf.raw_ops.RandomIndexShuffle(
    index=index,
    seed=tf.stack([purpose, turn, group], axis=-1),
    max_index=tf.cast(tf.broadcast_to(count, tf.shape(index)), tf.int64) - 1,
    rounds=4,
  )


def crop_seed(seed: int, first: tf.Tensor) -> tf.Tensor:
  """Returns the seed of the windows of the chunk at `first`, [2] int64."""
  return tf.stack([tf.constant(key(seed, "crop"), tf.int64), first])


def box_seed(seed: int, first: tf.Tensor) -> tf.Tensor:
  """Returns the seed of the boxes of the chunk at `first`, [2] int64."""
  return tf.stack([tf.constant(key(seed, "box"), tf.int64), first])


def background_seed(seed: int, first: tf.Tensor) -> tf.Tensor:
  """Returns the seed of the backgrounds of the chunk at `first`, [2] int64."""
  return tf.stack([tf.constant(key(seed, "background"), tf.int64), first])


def view_seed(seed: int, step: tf.Tensor, view: int) -> tf.Tensor:
  """Returns the seed of `Recipe.finish` for one view of a batch.

  Args:
    seed: seed of the run.
    step: [] integer, training step, from 0.
    view: number of the view; 0 for the query, 1 for the key.

  Returns:
    [2] int32.
  """
  return tf.stack(
    [
      tf.constant(key(seed, f"finish view {view}"), tf.int32),
      tf.cast(step, tf.int32),
    ]
  )
