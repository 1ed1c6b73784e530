"""Tests of tf_ssl.losses.info_nce."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.losses import info_nce


def unit_rows(rng, rows, width):
  values = rng.normal(size=[rows, width])
  return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype("f")


def slow_loss(queries, keys, negatives, temperature):
  """Equation 1 of MoCo, one query at a time, in float64."""
  losses = []
  for query, key in zip(queries.astype("d"), keys.astype("d"), strict=True):
    scores = [query @ key] + [query @ k for k in negatives.astype("d")]
    exponents = np.exp(np.array(scores) / temperature)
    losses.append(-np.log(exponents[0] / exponents.sum()))
  return np.mean(losses)


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_it_equals_the_papers_equation_one_query_at_a_time(
  temperature, in_graph
):
  rng = np.random.default_rng(0)
  q, k, n = unit_rows(rng, 5, 8), unit_rows(rng, 5, 8), unit_rows(rng, 12, 8)

  def loss(q, k, n):
    return info_nce.info_nce(
      info_nce.contrastive_logits(q, k, n, temperature=temperature)
    )

  loss = tf.function(loss) if in_graph else loss
  np.testing.assert_allclose(
    loss(q, k, n), slow_loss(q, k, n, temperature), rtol=1e-5
  )


def test_negatives_all_equal_to_the_positive_give_log_of_k_plus_one():
  logits = tf.fill([3, 1 + 7], 0.9 / 0.07)
  np.testing.assert_allclose(info_nce.info_nce(logits), np.log(8), rtol=1e-6)


def test_a_positive_far_above_all_negatives_gives_no_loss():
  logits = tf.constant([[100.0, 0.0, 0.0]])
  assert float(info_nce.info_nce(logits)) == 0.0


def test_large_half_precision_logits_do_not_overflow():
  logits = tf.constant([[900.0, 880.0]], tf.float16)
  np.testing.assert_allclose(
    info_nce.info_nce(logits), np.log1p(np.exp(-20.0)), atol=1e-6
  )


def test_the_positive_stands_in_column_zero():
  q = tf.constant([[1.0, 0.0]])
  k = tf.constant([[0.6, 0.8]])
  n = tf.constant([[0.0, 1.0], [-1.0, 0.0]])
  logits = info_nce.contrastive_logits(q, k, n, temperature=0.5)
  np.testing.assert_allclose(logits, [[1.2, 0.0, -2.0]], rtol=1e-6)


def test_accuracy_counts_queries_closest_to_their_own_key():
  logits = tf.constant([[2.0, 1.0], [1.0, 2.0], [1.0, 1.0], [3.0, 0.0]])
  assert float(info_nce.contrastive_accuracy(logits)) == 0.5


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
