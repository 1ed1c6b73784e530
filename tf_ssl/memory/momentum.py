"""The key encoder: a moving average of the query encoder."""

from collections.abc import Sequence

import tensorflow as tf


def copy_weights(source: tf.keras.layers.Layer, target: tf.keras.layers.Layer):
  """Sets every weight of `target`, moving averages too, to `source`'s.

  Raises:
    ValueError: the two are not built alike.
  """
  _check_alike(source.weights, target.weights)
  for mine, other in zip(target.weights, source.weights, strict=True):
    mine.assign(other)


def momentum_update(
  source: Sequence[tf.Variable],
  target: Sequence[tf.Variable],
  *,
  momentum: float,
) -> None:
  """Target ← momentum · target + (1 - momentum) · source (MoCo, equation 2).

  Args:
    source: the query side's trained variables.
    target: the key side's, in the same order.
    momentum: 0 copies, 1 leaves the target as it is.
  """

  def update(strategy):
    for mine, other in zip(target, source, strict=True):
      strategy.extended.update(mine, move, args=(other,), group=False)

  def move(mine, other):
    return mine.assign(momentum * mine + (1.0 - momentum) * other)

  # outside of a replica's own context, since mirrored variables have one value
  tf.distribute.get_replica_context().merge_call(update)


def _check_alike(source, target):
  shapes = [[tuple(v.shape) for v in side] for side in (source, target)]
  if shapes[0] != shapes[1] or not shapes[0]:
    raise ValueError(
      f"key and query side differ or are not built: {len(shapes[0])} and"
      f" {len(shapes[1])} weights."
    )
