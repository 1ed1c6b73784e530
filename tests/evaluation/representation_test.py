"""Tests of tf_ssl.evaluation.representation: closed forms and references."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation import representation


def _gaussian(rows, width, seed=0):
  return np.random.default_rng(seed).normal(size=(rows, width))


def test_alignment_is_zero_for_equal_directions_and_four_for_opposite_ones():
  x = _gaussian(5, 3)
  assert representation.alignment(x, 7 * x) == pytest.approx(0, abs=1e-12)
  assert representation.alignment(x, -x) == pytest.approx(4)
  assert representation.alignment(x, -x, exponent=1) == pytest.approx(2)


def test_alignment_of_right_angles_is_two():
  assert representation.alignment(np.eye(2), np.eye(2)[::-1]) == pytest.approx(
    2
  )


def test_alignment_takes_tensors_of_any_precision():
  x = tf.constant(_gaussian(4, 8), tf.bfloat16)
  assert representation.alignment(x, x) == pytest.approx(0, abs=1e-12)


def test_uniformity_of_one_repeated_direction_is_zero():
  x = np.tile(_gaussian(1, 4), [6, 1])
  assert representation.uniformity(x) == pytest.approx(0, abs=1e-9)


def test_uniformity_of_an_orthogonal_basis_is_minus_two_t():
  # Every pair of different basis vectors is at squared distance 2.
  assert representation.uniformity(np.eye(5)) == pytest.approx(-4)
  assert representation.uniformity(np.eye(5), sharpness=0.5) == pytest.approx(
    -1
  )


def test_uniformity_averages_the_potential_over_different_pairs():
  x = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
  # Squared distances 0, 4, 4.
  expected = np.log((1 + 2 * np.exp(-8)) / 3)
  assert representation.uniformity(x) == pytest.approx(expected)


def test_rank_of_one_direction_is_one():
  x = np.outer(_gaussian(20, 1)[:, 0], _gaussian(1, 6)[0])
  assert representation.rank_me(x) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("rank", [2, 5])
def test_rank_of_equal_singular_values_is_their_number(rank):
  x = np.zeros([30, 8])
  x[:, :rank] = np.linalg.qr(_gaussian(30, rank))[0]
  assert representation.rank_me(x) == pytest.approx(rank, rel=1e-4)


def test_rank_of_two_unequal_directions_follows_their_entropy():
  x = np.diag([3.0, 1.0])
  expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
  assert representation.rank_me(x) == pytest.approx(expected, abs=1e-5)


def test_rank_of_all_zeros_is_one():
  assert representation.rank_me(np.zeros([4, 3])) == pytest.approx(1, abs=1e-4)


def test_std_of_spread_directions_is_one_over_root_width():
  std = representation.embedding_std(_gaussian(4000, 64))
  assert std == pytest.approx(1 / 8, rel=0.02)


def test_std_of_one_repeated_direction_is_zero_whatever_the_lengths():
  x = np.outer([1.0, 2.0, 5.0], [0.6, 0.8])
  assert representation.embedding_std(x) == pytest.approx(0, abs=1e-12)


def test_duplicates_are_found_in_any_row():
  x = _gaussian(40, 16)
  assert representation.duplicate_share(x) == 0
  x[[7, 31]] = 2 * x[[0, 12]]
  assert representation.duplicate_share(x) == pytest.approx(4 / 40)
  assert representation.duplicate_share(np.ones([30, 3])) == 1
  assert representation.duplicate_share(np.ones([1, 3])) == 0


def test_a_sample_is_compared_with_all_rows():
  x = _gaussian(1000, 16)
  x[500:] = x[:500]
  assert representation.duplicate_share(x, sample=10) == 1


def test_invalid_shapes_are_refused():
  with pytest.raises(errors.UsageError, match=r"\(1, 4\)"):
    representation.uniformity(np.ones([1, 4]))
  with pytest.raises(errors.UsageError, match=r"\(4,\)"):
    representation.rank_me(np.ones([4]))
  with pytest.raises(errors.UsageError, match=r"\(2, 4\).*\(3, 4\)"):
    representation.alignment(np.ones([2, 4]), np.ones([3, 4]))


def test_an_object_must_be_most_similar_to_itself():
  before = [[1.0, 0], [0, 1], [1, 1]]
  after = [
    [9.0, 1],
    [1, 0],
    [5, 5],
  ]  # The second object now looks like the first.
  found = representation.same_object_accuracy(before, after, [0, 1, 2])
  # The first is more similar to the second's later look than to its own.
  assert found == pytest.approx(1 / 3)


def test_pairs_of_one_track_do_not_compete():
  before = [[1.0, 0], [1, 0.1], [0, 1]]
  after = [[1.0, 0.2], [1, 0], [0, 1]]
  score = representation.same_object_accuracy
  assert score(before, after, [0, 0, 1]) == 1.0
  assert score(before, after, [0, 2, 1]) == pytest.approx(1 / 3)


def test_same_object_accuracy_equals_a_plain_loop():
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
  found = representation.same_object_accuracy(before, after, tracks)
  assert found == pytest.approx(right / 40)


def test_constant_features_identify_nothing():
  ones = np.ones([4, 3])
  assert representation.same_object_accuracy(ones, ones, [0, 1, 2, 3]) == 0.0


@pytest.mark.parametrize(
  "before, after, tracks, message",
  [
    (np.ones([2, 3]), np.ones([2, 3]), [1, 1], "two tracks"),
    (np.ones([2, 3]), np.ones([2, 4]), [0, 1], r"\(2, 3\).*\(2, 4\)"),
    (np.ones([2, 3]), np.full([2, 3], np.nan), [0, 1], "NaN"),
  ],
)
def test_invalid_regions_are_refused(before, after, tracks, message):
  with pytest.raises(errors.UsageError, match=message):
    representation.same_object_accuracy(before, after, tracks)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
  bad = np.ones([3, 4])
  bad[1, 2] = value
  for measure in (
    representation.uniformity,
    representation.rank_me,
    representation.embedding_std,
    representation.duplicate_share,
  ):
    with pytest.raises(errors.UsageError, match="NaN or infinity"):
      measure(bad)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
