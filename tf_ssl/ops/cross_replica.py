"""Gathering, reducing and shuffling batches across replicas.

On one device the global batch is the local one, so that a run on many replicas
computes what a run on one computes.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


def _context():
  return tf.distribute.get_replica_context()


def _here(values):
  """Copies values to the replica's device, as several machines require."""
  return tf.nest.map_structure(tf.identity, values)


def num_replicas() -> int:
  """Number of replicas in sync; 1 outside of a strategy."""
  return _context().num_replicas_in_sync


def gather(local: tf.Tensor) -> tf.Tensor:
  """Global batch on every replica: [B, ...] -> [R·B, ...]."""
  if num_replicas() == 1:
    return local
  return _context().all_gather(_here(local), axis=0)


def total(values):
  """Sum over replicas of a structure of tensors."""
  if num_replicas() == 1:
    return values
  return _context().all_reduce(tf.distribute.ReduceOp.SUM, _here(values))


def mean(values):
  """Mean over replicas of a structure of tensors."""
  if num_replicas() == 1:
    return values
  return _context().all_reduce(tf.distribute.ReduceOp.MEAN, _here(values))


def rows_of(local: tf.Tensor) -> tf.Tensor:
  """Rows of a local batch in `gather`: [B, ...] -> [B] int32."""
  size = tf.shape(local)[0]
  if num_replicas() == 1:
    return tf.range(size)
  return _context().replica_id_in_sync_group * size + tf.range(size)


def _local_rows(tensor: tf.Tensor) -> tf.Tensor:
  """This replica's contiguous rows of a global batch [R·B, ...]."""
  if num_replicas() == 1:
    return tensor
  size = tf.shape(tensor)[0] // num_replicas()
  start = _context().replica_id_in_sync_group * size
  return tensor[start : start + size]


def locally(
  strategy: tf.distribute.Strategy, function: Callable[..., tf.Tensor], *args
) -> tf.Tensor:
  """Calls a function in a replica of this process, without communication.

  In cross-replica context, reading batch norm's moving averages is a mean over
  all replicas of all machines, in which all machines must take part.

  Args:
    strategy: strategy of the variables that the function reads.
    function: function without collective operations.
    *args: arguments of the function.

  Returns:
    Result of the first replica of this process.
  """
  with strategy.scope():
    if not tf.distribute.in_cross_replica_context():
      return function(*args)
    results = strategy.run(function, args)
    return strategy.experimental_local_results(results)[0]


class Shuffled(NamedTuple):
  """A batch that is shuffled across replicas.

  Attributes:
    examples: [B, ...], this replica's share after the shuffle.
    permutation: [R·B] int32; row i is example permutation[i] of the original
      global batch.
  """

  examples: tf.Tensor
  permutation: tf.Tensor


def shuffle(
  local: tf.Tensor, *, seed: tf.Tensor, compiled: bool = False
) -> Shuffled:
  """Shuffles the global batch: MoCo's shuffling BN, before the key encoder.

  Args:
    local: [B, ...] on each replica.
    seed: [2] int, equal on all replicas.
    compiled: whether XLA compiles the graph, which has no kernel for
      TensorFlow's shuffle; the permutation is another one then.

  Returns:
    Shuffled batch; `unshuffle` restores the order.
  """
  batch = gather(local)  # [R·B, ...]
  count = tf.shape(batch)[0]
  if compiled:
    numbers = tf.random.stateless_uniform([count], seed, alg="philox")
    permutation = tf.argsort(numbers, stable=True)
  else:
    permutation = tf.random.experimental.stateless_shuffle(
      tf.range(count), seed=seed
    )
  mine = _local_rows(permutation)  # [B]
  return Shuffled(tf.gather(batch, mine), permutation)


def unshuffle(local: tf.Tensor, permutation: tf.Tensor) -> tf.Tensor:
  """Restores the order before `shuffle`.

  Args:
    local: [B, ...], row i computed from this replica's i-th shuffled example.
    permutation: `Shuffled.permutation`.

  Returns:
    [B, ...], row i computed from this replica's i-th original example.
  """
  batch = gather(local)  # [R·B, ...]
  inverse = tf.math.invert_permutation(permutation)
  return tf.gather(batch, _local_rows(inverse))
