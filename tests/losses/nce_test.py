"""Tests of tf_ssl.losses.nce."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.losses import nce


def slow_nce(logits, normalizer, num_images):
  """PIRL's formula, one example and one sample at a time, in float64."""
  losses = []
  noise = (logits.shape[1] - 1) / num_images
  for row in np.exp(logits.astype("d")) / normalizer:
    loss = -np.log(row[0] / (row[0] + noise))
    for p in row[1:]:
      loss -= np.log(noise / (p + noise))
    losses.append(loss)
  return np.mean(losses)


@pytest.mark.parametrize("in_graph", [False, True])
def test_it_equals_the_formula_one_sample_at_a_time(in_graph):
  logits = np.random.default_rng(0).normal(size=[4, 8]).astype("f") * 5

  def loss(x):
    return nce.nce(x, tf.constant(np.log(30.0), tf.float32), num_images=100)

  ours = (tf.function(loss) if in_graph else loss)(tf.constant(logits))
  np.testing.assert_allclose(ours, slow_nce(logits, 30.0, 100), rtol=1e-5)


def test_the_loss_of_a_model_equal_to_the_noise_is_log_two_per_sample():
  # P = Pn·M for all, so that each of the 1+M decisions is a fair coin.
  logits = tf.zeros([3, 1 + 7])
  log_z = tf.constant(np.log(100 / 7), tf.float32)
  loss = nce.nce(logits, log_z, num_images=100)
  np.testing.assert_allclose(loss, 8 * np.log(2), rtol=1e-6)


def test_the_normalizer_is_the_mean_times_the_number_of_images():
  logits = np.random.default_rng(1).normal(size=[4, 8]).astype("f")
  found = nce.log_normalizer(tf.constant(logits), num_images=1000)
  np.testing.assert_allclose(
    np.exp(found), np.exp(logits.astype("d")).mean() * 1000, rtol=1e-5
  )


def test_large_similarities_do_not_overflow():
  logits = tf.constant([[1 / 0.001, -1 / 0.001, 0.0]])
  log_z = nce.log_normalizer(logits, num_images=10)
  assert np.isfinite(nce.nce(logits, log_z, num_images=10))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
