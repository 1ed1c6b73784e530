"""InfoNCE and NT-Xent against slow NumPy references."""

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
def test_info_nce_equals_mocos_equation_one_query_at_a_time(
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


def test_the_loss_of_a_far_more_similar_positive_is_zero():
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


def test_info_nce_of_each_is_the_mean_of_info_nce_of_one_positive_at_a_time():
  rng = np.random.default_rng(0)
  positives = rng.normal(size=[3, 2, 4]).astype("f") * 5
  negatives = rng.normal(size=[3, 2, 6]).astype("f") * 5
  found = info_nce.info_nce_of_each(positives, negatives)
  each = [
    info_nce.info_nce(
      tf.concat([positives[:, v, p, None], negatives[:, v]], axis=1)
    )
    for v in range(2)
    for p in range(4)
  ]
  np.testing.assert_allclose(found, np.mean(each), rtol=1e-6)


def seeded_rows(seed, rows, width):
  return unit_rows(np.random.default_rng(seed), rows, width)


def slow_nt_xent(queries, keys, temperature):
  """Equation 1 of SimCLR over the 2B views, one at a time, in float64."""
  views = np.concatenate([queries, keys]).astype("d")
  size, losses = len(queries), []
  for i, view in enumerate(views):
    exponents = np.exp(views @ view / temperature)
    others = exponents.sum() - exponents[i]
    losses.append(-np.log(exponents[(i + size) % (2 * size)] / others))
  return np.array(losses)


def nt_xent_of(rows, queries, keys, temperature):
  logits = info_nce.nt_xent_logits(
    tf.gather(queries, rows),
    tf.gather(keys, rows),
    queries,
    keys,
    tf.constant(rows),
    temperature=temperature,
  )
  return info_nce.info_nce(logits)


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_equals_simclrs_equation_one_view_at_a_time(
  temperature, in_graph
):
  queries, keys = seeded_rows(0, 6, 4), seeded_rows(1, 6, 4)

  def loss(queries, keys):
    return nt_xent_of(np.arange(6), queries, keys, temperature)

  ours = (tf.function(loss) if in_graph else loss)(queries, keys)
  expected = slow_nt_xent(queries, keys, temperature).mean()
  np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_nt_xent_of_a_replica_is_the_loss_of_its_own_views():
  queries, keys = seeded_rows(0, 6, 4), seeded_rows(1, 6, 4)
  each = slow_nt_xent(queries, keys, 0.2)
  ours = nt_xent_of(np.array([2, 3]), queries, keys, 0.2)
  np.testing.assert_allclose(ours, each[[2, 3, 8, 9]].mean(), rtol=1e-5)


def test_nt_xent_of_equal_views_is_the_log_of_their_number():
  same = np.tile(seeded_rows(0, 1, 4), [5, 1])
  loss = nt_xent_of(np.arange(5), same, same, 0.1)
  np.testing.assert_allclose(loss, np.log(2 * 5 - 1), rtol=1e-5)


def test_negatives_that_are_not_there_do_not_count():
  rng = np.random.default_rng(0)
  positive = rng.normal(size=[3, 1]).astype("f")
  logits = rng.normal(size=[3, 7]).astype("f")
  written = np.arange(7) < 4
  found, missing = info_nce.only_written(logits, written)
  loss = info_nce.info_nce(tf.concat([positive, found], axis=1))
  expected = info_nce.info_nce(tf.concat([positive, logits[:, :4]], axis=1))
  np.testing.assert_allclose(loss, expected, rtol=1e-6)
  np.testing.assert_allclose(missing, np.log(8 / 5), rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_with_any_number_of_negatives_equal_similarities_are_at_chance(count):
  written = np.arange(7) < count
  found, missing = info_nce.only_written(tf.fill([3, 7], 0.4), written)
  loss = info_nce.info_nce(tf.concat([tf.fill([3, 1], 0.4), found], axis=1))
  np.testing.assert_allclose(loss + missing, np.log(8), rtol=1e-6)


def test_all_negatives_stay_to_the_bit():
  logits = tf.random.stateless_normal([3, 7], [0, 0])
  found, missing = info_nce.only_written(logits, None)
  assert found is logits and missing == 0.0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
