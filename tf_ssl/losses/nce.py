"""Noise-contrastive estimation (Gutmann & Hyvärinen 2010) as PIRL uses it."""

import math

import tensorflow as tf


def nce(
  logits: tf.Tensor, log_normalizer: tf.Tensor, *, num_images: int
) -> tf.Tensor:
  """Tells each positive from M samples of uniform noise.

  P = exp(logit) / Z is what the model thinks of a sample, M/N how often noise
  would give it: the loss of an example is
  -log(P₊ / (P₊ + M/N)) - Σ log((M/N) / (P₋ + M/N)).

  Args:
    logits: [B, 1+M] similarities / temperature, the positive in column 0.
    log_normalizer: [] float32, log Z.
    num_images: N, what noise draws from.

  Returns:
    [] float32, the mean over the batch.
  """
  logits = tf.cast(logits, tf.float32) - log_normalizer
  noise = math.log((logits.shape[1] - 1) / num_images)
  positive = tf.nn.softplus(noise - logits[:, 0])  # [B]
  negative = tf.reduce_sum(tf.nn.softplus(logits[:, 1:] - noise), axis=1)
  return tf.reduce_mean(positive + negative)


def log_normalizer(logits: tf.Tensor, *, num_images: int) -> tf.Tensor:
  """Log Z = log(N · mean of exp(logit)), estimated from one batch.

  Args:
    logits: [B, 1+M].
    num_images: N.

  Returns:
    [] float32, with no gradient.
  """
  logits = tf.stop_gradient(tf.cast(logits, tf.float32))
  count = tf.cast(tf.size(logits), tf.float32)
  return tf.reduce_logsumexp(logits) - tf.math.log(count) + math.log(num_images)
