"""Total coding rate and invariance, the two terms of EMP-SSL."""

import tensorflow as tf


def total_coding_rate(
  embeddings: tf.Tensor, *, squared_precision: float = 0.2
) -> tf.Tensor:
  """R(Z) = 1/2 log det(I + E / (B ε²) Z Zᵀ) (Ma et al. 2007).

  It is large if the embeddings of a batch span many directions, and 1/2 log(1 +
  E / ε²) if all of them are equal.

  Args:
    embeddings: [..., B, E], unit length: Zᵀ.
    squared_precision: ε². Default: that of EMP-SSL (arXiv 2304.03977).

  Returns:
    [...] float32, nats.
  """
  rows = tf.cast(embeddings, tf.float32)
  count, width = rows.shape[-2:]
  by_rows = count is not None and count <= width
  # det(I + Z Zᵀ) = det(I + Zᵀ Z); the smaller matrix is cheaper.
  gram = tf.matmul(rows, rows, transpose_a=not by_rows, transpose_b=by_rows)
  factor = width / (tf.cast(tf.shape(rows)[-2], tf.float32) * squared_precision)
  side = tf.shape(gram)[-1]
  root = tf.linalg.cholesky(tf.eye(side) + factor * gram)
  return tf.reduce_sum(tf.math.log(tf.linalg.diag_part(root)), axis=-1)


def similarity_to_mean(embeddings: tf.Tensor) -> tf.Tensor:
  """Mean cosine of the views of an image to their mean.

  Args:
    embeddings: [B, V, E], unit length, V views of each image.

  Returns:
    [] float32, 1 if the views of each image are equal.
  """
  mean = tf.reduce_mean(embeddings, axis=1, keepdims=True)
  mean = tf.math.l2_normalize(mean, axis=2)
  return tf.reduce_mean(tf.reduce_sum(embeddings * mean, axis=2))
