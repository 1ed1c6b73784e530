"""Each number against its closed form."""

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
def test_rank_of_equally_used_directions_is_their_number(rank):
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


def test_twins_are_found_wherever_they_stand():
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


def test_shapes_that_mean_nothing_are_refused():
  with pytest.raises(errors.UsageError, match="at least 2 rows"):
    representation.uniformity(np.ones([1, 4]))
  with pytest.raises(errors.UsageError, match=r"expected \[B, E\]"):
    representation.rank_me(np.ones([4]))
  with pytest.raises(errors.UsageError, match="pairs of the same shape"):
    representation.alignment(np.ones([2, 4]), np.ones([3, 4]))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
