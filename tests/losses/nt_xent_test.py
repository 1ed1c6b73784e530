"""Tests of tf_ssl.losses.nt_xent."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.losses import info_nce, nt_xent


def unit_rows(seed, rows, width):
  values = np.random.default_rng(seed).normal(size=[rows, width])
  return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype("f")


def slow_nt_xent(queries, keys, temperature):
  """Equation 1 of SimCLR over the 2B views, one at a time, in float64."""
  views = np.concatenate([queries, keys]).astype("d")
  size, losses = len(queries), []
  for i, view in enumerate(views):
    exponents = np.exp(views @ view / temperature)
    others = exponents.sum() - exponents[i]
    losses.append(-np.log(exponents[(i + size) % (2 * size)] / others))
  return np.array(losses)


def loss_of(rows, queries, keys, temperature):
  logits = nt_xent.nt_xent_logits(
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
def test_it_equals_the_papers_equation_one_view_at_a_time(
  temperature, in_graph
):
  queries, keys = unit_rows(0, 6, 4), unit_rows(1, 6, 4)

  def loss(queries, keys):
    return loss_of(np.arange(6), queries, keys, temperature)

  ours = (tf.function(loss) if in_graph else loss)(queries, keys)
  expected = slow_nt_xent(queries, keys, temperature).mean()
  np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_replicas_share_has_the_loss_of_its_own_views():
  queries, keys = unit_rows(0, 6, 4), unit_rows(1, 6, 4)
  each = slow_nt_xent(queries, keys, 0.2)
  ours = loss_of(np.array([2, 3]), queries, keys, 0.2)
  np.testing.assert_allclose(ours, each[[2, 3, 8, 9]].mean(), rtol=1e-5)


def test_views_that_are_all_alike_give_the_log_of_how_many_compete():
  same = np.tile(unit_rows(0, 1, 4), [5, 1])
  loss = loss_of(np.arange(5), same, same, 0.1)
  np.testing.assert_allclose(loss, np.log(2 * 5 - 1), rtol=1e-5)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
