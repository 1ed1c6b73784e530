"""Tests of tf_ssl.evaluation.predictions."""

import sys

import numpy as np
import pytest
from sklearn import metrics

from tf_ssl.evaluation import predictions


def test_ranks_count_what_is_higher_and_equal_ones_with_smaller_ids():
  scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.5], [1.0, 2.0, 2.0]])
  found = predictions.from_scores(scores, np.array([2, 2, 1]))
  assert found.best.tolist() == [1, 0, 1]
  assert found.rank.tolist() == [1, 2, 0]
  assert found.accuracy() == 1 / 3
  assert found.accuracy(2) == 2 / 3


def test_top_k_equals_scikit_learn():
  rng = np.random.default_rng(0)
  scores, labels = rng.normal(size=(200, 9)), rng.integers(9, size=200)
  found = predictions.from_scores(scores, labels)
  for k in (1, 3, 5):
    expected = metrics.top_k_accuracy_score(labels, scores, k=k)
    assert found.accuracy(k) == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
