"""Losses of labeled examples."""

import tensorflow as tf

_NEVER = -1e9  # Logit of an example that does not compete.


def cross_entropy_sum(
  logits: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Softmax cross-entropy of the examples with a known label.

  Args:
    logits: [B, C].
    labels: [B] integer class ids, negative if unknown.

  Returns:
    [] float32, the sum over those examples, and [] float32, their number.
  """
  known = tf.cast(labels >= 0, tf.float32)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
    tf.maximum(labels, 0), tf.cast(logits, tf.float32)
  )
  return tf.reduce_sum(known * losses), tf.reduce_sum(known)


def true_class_first(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Moves the logit of the true class to column 0: [B, C] -> [B, 1+C].

  Its old column becomes -1e9, so that `info_nce.contrastive_accuracy` of the
  result is the accuracy of the classifier.

  Args:
    logits: [B, C].
    labels: [B] integer class ids, none negative.
  """
  logits = tf.cast(logits, tf.float32)
  hot = tf.one_hot(labels, logits.shape[1])
  first = tf.reduce_sum(hot * logits, axis=1, keepdims=True)
  return tf.concat([first, logits + hot * _NEVER], axis=1)


def own_class_if_unknown(labels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
  """Gives each example with an unknown label a class of its own.

  Args:
    labels: [b] int32 class ids, negative if unknown.
    rows: [b] int32, rows of the examples in the global batch.

  Returns:
    [b] int32 class ids, none negative; equal only for equal known labels.
  """
  # Even numbers for known classes, odd numbers for rows.
  return tf.where(labels < 0, 2 * rows + 1, 2 * labels)


def supervised_contrastive(
  embeddings: tf.Tensor,
  labels: tf.Tensor,
  all_embeddings: tf.Tensor,
  all_labels: tf.Tensor,
  rows: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """L_out of Khosla et al. (2020, equation 2).

  All other embeddings of the anchor's class are positives. An embedding with an
  unknown label has no positives and is a negative of all others.

  Args:
    embeddings: [b, E], unit length: the anchors.
    labels: [b] integer class ids, negative if unknown.
    all_embeddings: [B, E], unit length: the anchors and all that they are
      compared with.
    all_labels: [B] integer class ids, negative if unknown.
    rows: [b] integer, rows of the anchors in `all_embeddings`.
    temperature: divisor of the similarities.

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
