"""NT-Xent (Chen et al. 2020): every view against all others of the batch."""

import tensorflow as tf

_NEVER = -1e9  # the logit of a view that does not compete


def nt_xent_logits(
  queries: tf.Tensor,
  keys: tf.Tensor,
  all_queries: tf.Tensor,
  all_keys: tf.Tensor,
  rows: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """Similarities of some of the 2B views of a global batch to all others.

  Args:
    queries: [b, E], unit length: this replica's share of one side.
    keys: [b, E], unit length: of the other side.
    all_queries: [B, E], the global batch.
    all_keys: [B, E].
    rows: [b] integer, where this replica's examples stand in it.
    temperature: divides the similarities.

  Returns:
    [2b, 1+2B] float32, queries first, the positive in column 0. Of the other
    2B columns two, the view itself and the positive, hold -1e9.
  """
  itself = tf.one_hot(rows, tf.shape(all_queries)[0], _NEVER)  # [b, B]

  def one_side(mine, other, all_mine, all_other):
    positive = tf.reduce_sum(mine * other, axis=1, keepdims=True)
    same = tf.matmul(mine, all_mine, transpose_b=True)
    across = tf.matmul(mine, all_other, transpose_b=True)
    negative = tf.concat([same, across], axis=1) / temperature
    negative += tf.concat([itself, itself], axis=1)
    return tf.concat([positive / temperature, negative], axis=1)

  return tf.concat(
    [
      one_side(queries, keys, all_queries, all_keys),
      one_side(keys, queries, all_keys, all_queries),
    ],
    axis=0,
  )
