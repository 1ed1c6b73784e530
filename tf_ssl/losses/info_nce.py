"""InfoNCE (van den Oord et al. 2018) and the logits of MoCo and SimCLR."""

import tensorflow as tf

_NEVER = -1e9  # Logit of a view that does not compete.


def contrastive_logits(
  queries: tf.Tensor,
  keys: tf.Tensor,
  negatives: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """Similarities of each query to its key and to negatives: MoCo, equation 1.

  Args:
    queries: [B, E], unit length.
    keys: [B, E], unit length; row b is the positive of query b.
    negatives: [K, E], unit length.
    temperature: divisor of the similarities.

  Returns:
    [B, 1+K] float32, the positive in column 0.
  """
  queries = tf.cast(queries, tf.float32)  # [B, E]
  keys = tf.cast(keys, tf.float32)
  negatives = tf.cast(negatives, tf.float32)
  positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)  # [B, 1]
  negative = tf.matmul(queries, negatives, transpose_b=True)  # [B, K]
  return tf.concat([positive, negative], axis=1) / temperature


def other_keys_logits(
  queries: tf.Tensor,
  all_keys: tf.Tensor,
  rows: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """Similarities of each query to the keys of the batch's other examples.

  Args:
    queries: [b, E], unit length, of this replica.
    all_keys: [B, E], unit length, of the global batch.
    rows: [b] integer, rows of the queries' own keys in `all_keys`.
    temperature: divisor of the similarities.

  Returns:
    [b, B] float32; a query's own column holds -1e9.
  """
  queries = tf.cast(queries, tf.float32)
  all_keys = tf.cast(all_keys, tf.float32)
  similarity = tf.matmul(queries, all_keys, transpose_b=True)
  itself = tf.one_hot(rows, tf.shape(all_keys)[0], _NEVER)
  return similarity / temperature + itself


def nt_xent_logits(
  queries: tf.Tensor,
  keys: tf.Tensor,
  all_queries: tf.Tensor,
  all_keys: tf.Tensor,
  rows: tf.Tensor,
  *,
  temperature: float,
) -> tf.Tensor:
  """Similarities of views to all other views of the global batch.

  With `info_nce` they are NT-Xent, the loss of SimCLR (Chen et al. 2020,
  equation 1).

  Args:
    queries: [b, E], unit length: first views of this replica.
    keys: [b, E], unit length: second views of this replica.
    all_queries: [B, E], first views of the global batch.
    all_keys: [B, E], second views of the global batch.
    rows: [b] integer, rows of this replica's examples in the global batch.
    temperature: divisor of the similarities.

  Returns:
    [2b, 1+2B] float32, queries first, the positive in column 0. Two of the
    other 2B columns, the view itself and the positive, hold -1e9.
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


def crop_logits(
  crops: tf.Tensor,
  positives: tf.Tensor,
  views: tf.Tensor,
  rows: tf.Tensor,
  *,
  temperature: float,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Similarities of crops to full views of their own and of other images.

  With `info_nce_of_each` they extend NT-Xent to small crops.

  Args:
    crops: [b, V, E], unit length, crops of this replica's images.
    positives: [b, F, E], unit length, what each crop is compared with.
    views: [S, B, E], S full views of each image of the global batch.
    rows: [b] integer, rows of this replica's images in the global batch.
    temperature: divisor of the similarities.

  Returns:
    Logits of the positives, [b, V, F], and of the negatives, [b, V, S·B]; of
    these, the S views of the crop's own image hold -1e9.
  """
  count = tf.shape(views)[1]
  others = tf.reshape(views, [-1, crops.shape[2]])  # [S·B, E]
  itself = tf.tile(tf.one_hot(rows, count, _NEVER), [1, views.shape[0]])
  positive = tf.matmul(crops, positives, transpose_b=True)
  negative = tf.tensordot(crops, others, [[2], [1]])
  return positive / temperature, negative / temperature + itself[:, None]


def info_nce(logits: tf.Tensor) -> tf.Tensor:
  """Mean of -log softmax of column 0, by a float32 log-sum-exp.

  Args:
    logits: [B, 1+K], the positive in column 0.

  Returns:
    [] float32; log(K+1) if all 1+K similarities are equal.
  """
  logits = tf.cast(logits, tf.float32)
  return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - logits[:, 0])


def info_nce_of_each(positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
  """InfoNCE of several positives, none of which competes with another.

  Args:
    positives: [..., P], logits of the positives.
    negatives: [..., K], logits of the negatives that all P share.

  Returns:
    [] float32, mean over all positives of the -log softmax of one positive
    among itself and the negatives; `info_nce` if P = 1.
  """
  positives = tf.cast(positives, tf.float32)
  negatives = tf.cast(negatives, tf.float32)
  others = tf.reduce_logsumexp(negatives, axis=-1, keepdims=True)
  return tf.reduce_mean(tf.nn.softplus(others - positives))


def only_written(
  logits: tf.Tensor, written: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor | float]:
  """Leaves the negatives out of a loss that are not there yet.

  Args:
    logits: [..., K] of negatives.
    written: [K] bool, negatives that are there; None for all.

  Returns:
    The logits, -1e9 for the others; and [] float32 to add to the loss:
    log((K+1) / (n+1)) for n negatives. With it, equal similarities have the
    loss log(K+1) for any n.
  """
  if written is None:
    return logits, 0.0
  count = tf.reduce_sum(tf.cast(written, tf.float32))
  whole = float(logits.shape[-1] + 1)
  return tf.where(written, logits, _NEVER), tf.math.log(whole / (count + 1.0))


def contrastive_accuracy(logits: tf.Tensor) -> tf.Tensor:
  """Fraction of queries that are closest to their own key.

  Args:
    logits: [B, 1+K], the positive in column 0.

  Returns:
    [] float32 in 0..1; a tie with a negative is an error.
  """
  best_negative = tf.reduce_max(logits[:, 1:], axis=1)
  return tf.reduce_mean(tf.cast(logits[:, 0] > best_negative, tf.float32))
