"""Noise-contrastive estimation (Gutmann & Hyvärinen 2010) as PIRL uses it."""

import math

import tensorflow as tf


def nce(
  logits: tf.Tensor, log_normalizer: tf.Tensor, *, num_images: int
) -> tf.Tensor:
  """Loss of telling a positive from M samples of uniform noise.

  With the model's probability P = exp(logit) / Z, and M/N for the expected
  number of times that the noise draws an image, the loss of an example is
  -log(P₊ / (P₊ + M/N)) - Σ log((M/N) / (P₋ + M/N)).

  Args:
    logits: [B, 1+M] similarities / temperature, the positive in column 0.
    log_normalizer: [] float32, log Z.
    num_images: N, number of images that the noise draws from.

  Returns:
    [] float32, the mean over the batch.
  """
  logits = tf.cast(logits, tf.float32) - log_normalizer
  noise = math.log((logits.shape[1] - 1) / num_images)
  positive = tf.nn.softplus(noise - logits[:, 0])  # [B]
  negative = tf.reduce_sum(tf.nn.softplus(logits[:, 1:] - noise), axis=1)
  return tf.reduce_mean(positive + negative)


def log_normalizer(logits: tf.Tensor, *, num_images: int) -> tf.Tensor:
  """Estimates log Z = log(N · mean of exp(logit)) from one batch.

  Args:
    logits: [B, 1+M] similarities / temperature.
    num_images: N, number of images that the noise draws from.

  Returns:
    [] float32, with no gradient.
  """
  logits = tf.stop_gradient(tf.cast(logits, tf.float32))
  count = tf.cast(tf.size(logits), tf.float32)
  return tf.reduce_logsumexp(logits) - tf.math.log(count) + math.log(num_images)
