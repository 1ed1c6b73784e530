"""Losses that know the labels."""

import tensorflow as tf

_NEVER = -1e9  # the logit of what does not compete


def cross_entropy_sum(
  logits: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """The softmax cross-entropy of the examples that carry a label.

  Args:
    logits: [B, C].
    labels: [B] integer class ids, negative where unknown.

  Returns:
    [] float32, the sum over those examples, and [] float32, their number.
  """
  known = tf.cast(labels >= 0, tf.float32)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
    tf.maximum(labels, 0), tf.cast(logits, tf.float32)
  )
  return tf.reduce_sum(known * losses), tf.reduce_sum(known)


def true_class_first(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """[B, C] -> [B, 1+C]: the true class's logit stands in column 0.

  It is -1e9 at its old place, so that a contrastive accuracy of the result is
  the classifier's accuracy.
  """
  logits = tf.cast(logits, tf.float32)
  hot = tf.one_hot(labels, logits.shape[1])
  first = tf.reduce_sum(hot * logits, axis=1, keepdims=True)
  return tf.concat([first, logits + hot * _NEVER], axis=1)


def supervised_contrastive(
  embeddings: tf.Tensor,
  labels: tf.Tensor,
  all_embeddings: tf.Tensor,
  all_labels: tf.Tensor,
  rows: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """L_out of Khosla et al. (2020, equation 2): all of one class are positives.

  An embedding of unknown label has no positives and only competes.

  Args:
    embeddings: [b, E], unit length: the anchors.
    labels: [b] integer, negative where unknown.
    all_embeddings: [B, E]: what they are compared with, themselves included.
    all_labels: [B].
    rows: [b] integer, where the anchors stand in `all_embeddings`.
    temperature: divides the similarities.

  Returns:
    [b] float32: -1/|P| Σ log softmax over the positives; 0 without positives.
  """
  logits = tf.matmul(embeddings, all_embeddings, transpose_b=True) / temperature
  itself = tf.one_hot(rows, tf.shape(all_embeddings)[0])  # [b, B]
  logits += itself * _NEVER
  same = (labels[:, None] == all_labels) & (labels[:, None] >= 0)
  positive = tf.cast(same, tf.float32) * (1.0 - itself)
  log_probability = logits - tf.reduce_logsumexp(logits, axis=1, keepdims=True)
  count = tf.reduce_sum(positive, axis=1)
  total = tf.reduce_sum(positive * log_probability, axis=1)
  return -tf.math.divide_no_nan(total, count)
