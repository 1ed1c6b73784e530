"""Momentum update: the key encoder is a moving average of the query encoder."""

from collections.abc import Sequence

import tensorflow as tf


def copy_weights(source: tf.keras.layers.Layer, target: tf.keras.layers.Layer):
  """Copies every weight, those of moving averages included.

  Args:
    source: built layer.
    target: layer of the same structure, whose weights are overwritten.

  Raises:
    ValueError: the structures differ, or a layer has no weights yet.
  """
  shapes = [[tuple(v.shape) for v in x.weights] for x in (source, target)]
  if shapes[0] != shapes[1] or not shapes[0]:
    raise ValueError(
      f"key and query side differ or are not built: {len(shapes[0])} and"
      f" {len(shapes[1])} weights."
    )
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
    source: trained variables of the query side.
    target: variables of the key side, in the same order.
    momentum: 0 copies the source, 1 keeps the target.
  """

  def update(strategy):
    for mine, other in zip(target, source, strict=True):
      strategy.extended.update(mine, move, args=(other,), group=False)

  def move(mine, other):
    return mine.assign(momentum * mine + (1.0 - momentum) * other)

  # In cross-replica context, because a mirrored variable has one value.
  tf.distribute.get_replica_context().merge_call(update)
