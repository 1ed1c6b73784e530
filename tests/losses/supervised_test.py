"""Tests of tf_ssl.losses.supervised."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.losses import info_nce, supervised


def unit_rows(seed, rows, width):
  values = np.random.default_rng(seed).normal(size=[rows, width])
  return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype("f")


def slow_supervised_contrastive(rows, labels, temperature):
  """Equation 2 of Khosla et al., one anchor at a time, in float64."""
  rows, losses = rows.astype("d"), []
  for i, anchor in enumerate(rows):
    scores = rows @ anchor / temperature
    others = np.exp(np.delete(scores, i)).sum()
    positives = [
      p for p in range(len(rows)) if p != i and labels[p] == labels[i] >= 0
    ]
    terms = [-np.log(np.exp(scores[p]) / others) for p in positives]
    losses.append(np.mean(terms) if terms else 0.0)
  return np.array(losses)


@pytest.mark.parametrize("in_graph", [False, True])
def test_it_equals_the_papers_equation_one_anchor_at_a_time(in_graph):
  rows = unit_rows(0, 8, 4)
  labels = np.int32([0, 1, 0, 2, 1, 0, -1, -1])

  def loss(rows):
    return supervised.supervised_contrastive(
      rows, labels, rows, labels, tf.range(8), temperature=0.1
    )

  ours = (tf.function(loss) if in_graph else loss)(tf.constant(rows))
  expected = slow_supervised_contrastive(rows, labels, 0.1)
  np.testing.assert_allclose(ours, expected, rtol=1e-4)
  assert expected[6] == expected[3] == 0.0


def test_with_one_positive_each_it_is_nt_xent():
  rows = unit_rows(1, 6, 4)
  labels = np.int32([0, 1, 2, 0, 1, 2])
  ours = supervised.supervised_contrastive(
    tf.constant(rows), labels, rows, labels, tf.range(6), temperature=0.5
  )
  scores = rows @ rows.T / 0.5
  np.fill_diagonal(scores, -np.inf)
  twins = scores[np.arange(6), [3, 4, 5, 0, 1, 2]]
  expected = np.log(np.exp(scores).sum(1)) - twins
  np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_cross_entropy_counts_only_labeled_examples():
  logits = np.float32([[2, 0, 0], [0, 9, 9], [0, 0, 1]])
  total, count = supervised.cross_entropy_sum(
    tf.constant(logits), tf.constant([0, -1, 1])
  )
  assert float(count) == 2
  expected = np.log(np.exp(2) + 2) - 2 + np.log(2 + np.e)
  np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_the_accuracy_of_the_true_class_first_is_the_classifiers():
  logits = tf.constant([[2.0, 0, 1], [0, 1, 5], [3, 0, 1], [0, 0, 1]])
  first = supervised.true_class_first(logits, tf.constant([0, 1, 0, 2]))
  np.testing.assert_array_equal(first[:, 0], [2, 1, 3, 1])
  assert float(info_nce.contrastive_accuracy(first)) == 0.75


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
