"""A batch across replicas: gather it, shuffle it, put it back.

On one device the global batch is the local one, and everything here still
works; that is how a run on many replicas equals a run on one.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


def _context():
  return tf.distribute.get_replica_context()


def _here(values):
  """The same, on the replica's own device; several machines must be told."""
  return tf.nest.map_structure(tf.identity, values)


def num_replicas() -> int:
  """Replicas in sync, 1 outside of a strategy."""
  return _context().num_replicas_in_sync


def gather(local: tf.Tensor) -> tf.Tensor:
  """[B, ...] on each replica -> [R·B, ...], the same on every replica."""
  if num_replicas() == 1:
    return local
  return _context().all_gather(_here(local), axis=0)


def total(values):
  """The sum over replicas of a structure of tensors."""
  if num_replicas() == 1:
    return values
  return _context().all_reduce(tf.distribute.ReduceOp.SUM, _here(values))


def mean(values):
  """The mean over replicas of a structure of tensors."""
  if num_replicas() == 1:
    return values
  return _context().all_reduce(tf.distribute.ReduceOp.MEAN, _here(values))


def rows_of(local: tf.Tensor) -> tf.Tensor:
  """[B, ...] on each replica -> [B] int32: where its rows stand in `gather`."""
  size = tf.shape(local)[0]
  if num_replicas() == 1:
    return tf.range(size)
  return _context().replica_id_in_sync_group * size + tf.range(size)


def _local_rows(tensor: tf.Tensor) -> tf.Tensor:
  """This replica's contiguous share of the rows of a global [R·B, ...]."""
  if num_replicas() == 1:
    return tensor
  size = tf.shape(tensor)[0] // num_replicas()
  start = _context().replica_id_in_sync_group * size
  return tensor[start : start + size]


def locally(
  strategy: tf.distribute.Strategy, function: Callable[..., tf.Tensor], *args
) -> tf.Tensor:
  """Calls a function as one replica of this process, asking no other one.

  Outside of a replica, reading batch norm's moving averages is a mean over all
  replicas of all machines, who would have to take part.

  Args:
    strategy: whose variables the function reads.
    function: computes what it returns without collectives.
    *args: its arguments.

  Returns:
    What the first replica of this process found.
  """
  with strategy.scope():
    if not tf.distribute.in_cross_replica_context():
      return function(*args)
    results = strategy.run(function, args)
    return strategy.experimental_local_results(results)[0]


class Shuffled(NamedTuple):
  """A batch whose examples have changed places across replicas.

  Attributes:
    examples: [B, ...], this replica's share after the shuffle.
    permutation: [R·B] int32; place i now holds global example permutation[i].
  """

  examples: tf.Tensor
  permutation: tf.Tensor


def shuffle(local: tf.Tensor, *, seed: tf.Tensor) -> Shuffled:
  """Deals the global batch anew: MoCo's shuffling BN, before the key forward.

  Args:
    local: [B, ...] on each replica.
    seed: [2] int, the same on every replica.

  Returns:
    Shuffled, to be undone by `unshuffle`.
  """
  batch = gather(local)  # [R·B, ...]
  permutation = tf.random.experimental.stateless_shuffle(
    tf.range(tf.shape(batch)[0]), seed=seed
  )
  mine = _local_rows(permutation)  # [B]
  return Shuffled(tf.gather(batch, mine), permutation)


def unshuffle(local: tf.Tensor, permutation: tf.Tensor) -> tf.Tensor:
  """Undoes `shuffle` on what was computed of the shuffled examples.

  Args:
    local: [B, ...], row i belongs to this replica's i-th shuffled example.
    permutation: as `shuffle` returned it.

  Returns:
    [B, ...], row i belongs to this replica's i-th example before the shuffle.
  """
  batch = gather(local)  # [R·B, ...]
  inverse = tf.math.invert_permutation(permutation)
  return tf.gather(batch, _local_rows(inverse))
