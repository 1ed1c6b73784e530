"""InfoNCE (van den Oord et al. 2018), as MoCo's equation 1 uses it."""

import tensorflow as tf


def contrastive_logits(
  queries: tf.Tensor,
  keys: tf.Tensor,
  negatives: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """Similarities of each query to its key and to the negatives.

  Args:
    queries: [B, E], unit length.
    keys: [B, E], unit length; row b is the positive of query b.
    negatives: [K, E], unit length.
    temperature: divides the similarities.

  Returns:
    [B, 1+K] float32, the positive in column 0.
  """
  queries = tf.cast(queries, tf.float32)  # [B, E]
  keys = tf.cast(keys, tf.float32)
  negatives = tf.cast(negatives, tf.float32)
  positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)  # [B, 1]
  negative = tf.matmul(queries, negatives, transpose_b=True)  # [B, K]
  return tf.concat([positive, negative], axis=1) / temperature


def info_nce(logits: tf.Tensor) -> tf.Tensor:
  """The mean of -log softmax of column 0, by a float32 log-sum-exp.

  Args:
    logits: [B, 1+K], the positive in column 0.

  Returns:
    [] float32. Where all 1+K similarities are equal it is log(K+1).
  """
  logits = tf.cast(logits, tf.float32)
  return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - logits[:, 0])


def contrastive_accuracy(logits: tf.Tensor) -> tf.Tensor:
  """The share of queries that are closest to their own key.

  Args:
    logits: [B, 1+K], the positive in column 0.

  Returns:
    [] float32 in 0..1; ties with a negative do not count.
  """
  best_negative = tf.reduce_max(logits[:, 1:], axis=1)
  return tf.reduce_mean(tf.cast(logits[:, 0] > best_negative, tf.float32))
