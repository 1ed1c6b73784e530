"""Tests of tf_ssl.video.tracking.matching on matrices made by hand."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.video.tracking import matching

NO = -np.inf
# Greedy takes 0.9 and leaves 0.1 for the other: 1.0. The best sum is 1.5.
CONTESTED = np.array([[0.9, 0.8], [0.7, 0.1]])


def test_greedy_takes_the_best_pair_first():
  np.testing.assert_array_equal(matching.greedy(CONTESTED), [[0, 0], [1, 1]])


def test_optimal_takes_the_best_sum():
  np.testing.assert_array_equal(matching.optimal(CONTESTED), [[0, 1], [1, 0]])


def test_mutual_leaves_out_whom_nobody_wants():
  np.testing.assert_array_equal(matching.mutual(CONTESTED), [[0, 0]])


def test_optimal_prefers_more_pairs_to_a_better_one():
  scores = np.array([[0.9, 0.1], [0.2, NO]])
  np.testing.assert_array_equal(matching.optimal(scores), [[0, 1], [1, 0]])
  np.testing.assert_array_equal(matching.greedy(scores), [[0, 0]])


def test_scores_may_be_negative():
  for matcher in (matching.greedy, matching.mutual, matching.optimal):
    np.testing.assert_array_equal(matcher(np.array([[NO, -3.0]])), [[0, 1]])


@pytest.mark.parametrize("name", ["greedy", "mutual", "optimal"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_nothing_possible_is_no_pair(name, shape):
  found = matching.by_name(name)(np.full(shape, NO))
  assert found.shape == (0, 2)


@pytest.mark.parametrize("name", ["greedy", "mutual", "optimal"])
def test_matches_are_one_to_one_and_possible(name):
  random = np.random.default_rng(1)
  scores = random.normal(size=[7, 9])
  scores[random.random([7, 9]) < 0.5] = NO
  pairs = matching.by_name(name)(scores)
  assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs) > 0
  assert np.isfinite(scores[pairs[:, 0], pairs[:, 1]]).all()


def test_a_pair_must_be_similar_and_near():
  scores = matching.gated(
    np.array([[0.9, 0.9, 0.7]]),
    np.array([[0.5, 0.3, 0.9]]),
    floor=0.8,
    gate=0.4,
    overlap_weight=0.2,
  )
  np.testing.assert_allclose(scores, [[1.0, NO, NO]])


def test_an_unknown_matcher_is_named_with_those_that_there_are():
  with pytest.raises(errors.UsageError, match="'best'.*greedy, mutual"):
    matching.by_name("best")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
