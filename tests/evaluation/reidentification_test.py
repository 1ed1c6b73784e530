"""Tests of tf_ssl.evaluation.reidentification."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.evaluation import reidentification


def test_an_object_must_be_most_like_itself():
  before = [[1.0, 0], [0, 1], [1, 1]]
  after = [
    [9.0, 1],
    [1, 0],
    [5, 5],
  ]  # the second has come to look like the first
  found = reidentification.same_object_accuracy(before, after, [0, 1, 2])
  # The first is more like the second's later look than like its own.
  assert found == pytest.approx(1 / 3)


def test_other_times_of_the_same_track_do_not_compete():
  before = [[1.0, 0], [1, 0.1], [0, 1]]
  after = [[1.0, 0.2], [1, 0], [0, 1]]
  score = reidentification.same_object_accuracy
  assert score(before, after, [0, 0, 1]) == 1.0
  assert score(before, after, [0, 2, 1]) == pytest.approx(1 / 3)


def test_it_equals_a_plain_loop():
  rng = np.random.default_rng(0)
  before = rng.normal(size=[40, 6])
  after = before + rng.normal(size=[40, 6])
  tracks = rng.integers(0, 9, 40)
  right = 0
  for i in range(40):
    cosines = {
      j: before[i]
      @ after[j]
      / np.linalg.norm(before[i])
      / np.linalg.norm(after[j])
      for j in range(40)
      if j == i or tracks[j] != tracks[i]
    }
    right += max(cosines, key=cosines.get) == i
  found = reidentification.same_object_accuracy(before, after, tracks)
  assert found == pytest.approx(right / 40)


def test_features_that_are_all_alike_find_nothing():
  ones = np.ones([4, 3])
  assert reidentification.same_object_accuracy(ones, ones, [0, 1, 2, 3]) == 0.0


@pytest.mark.parametrize(
  "before, after, tracks, message",
  [
    (np.ones([2, 3]), np.ones([2, 3]), [1, 1], "no two tracks"),
    (np.ones([2, 3]), np.ones([2, 4]), [0, 1], "expected .N, D"),
    (np.ones([2, 3]), np.full([2, 3], np.nan), [0, 1], "NaN"),
  ],
)
def test_what_cannot_be_scored_is_refused(before, after, tracks, message):
  with pytest.raises(errors.UsageError, match=message):
    reidentification.same_object_accuracy(before, after, tracks)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
