"""Means over seeds and their intervals."""

import sys

import numpy as np
import pytest
from scipy import stats

from tf_ssl.experiment.results import seed_statistics


def test_an_interval_is_students():
  found = seed_statistics.t_interval([1.0, 2.0, 3.0])
  # 4.302653 is the 97.5 % point of t with 2 degrees of freedom; 1 / sqrt(3)
  assert found.mean == 2.0 and found.count == 3
  assert found.low == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-5)
  assert found.high == pytest.approx(2 + 4.302653 / np.sqrt(3), abs=1e-5)


def test_a_single_seed_has_no_interval():
  assert seed_statistics.t_interval([7.0]) == (7.0, None, None, 1)


def test_equal_values_leave_no_doubt():
  assert seed_statistics.t_interval([7.0, 7.0]) == (7.0, 7.0, 7.0, 2)


def test_an_interval_of_percentages_ends_at_0_and_100():
  wide = seed_statistics.Estimate(60.0, -10.0, 130.0, 2)
  percent = seed_statistics.within_unit(wide, "%")
  assert percent == (60.0, 0.0, 100.0, 2)
  assert seed_statistics.within_unit(wide, "points") == wide
  alone = seed_statistics.Estimate(60.0, None, None, 1)
  assert seed_statistics.within_unit(alone, "%") == alone


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_paired_difference_is_that_of_scipy(confidence):
  rng = np.random.default_rng(0)
  left, right = rng.normal(size=(2, 5)) + 10 * rng.normal(size=5)
  found = seed_statistics.paired(
    dict(enumerate(left)), dict(enumerate(right)), confidence=confidence
  )
  expected = stats.ttest_rel(left, right).confidence_interval(confidence)
  assert found.mean == pytest.approx((left - right).mean())
  assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_only_seeds_that_both_have_are_paired():
  found = seed_statistics.paired({0: 1.0, 1: 5.0, 2: 9.0}, {2: 4.0, 1: 2.0})
  assert (found.mean, found.count) == (4.0, 2)
  assert seed_statistics.paired({0: 1.0}, {1: 1.0}) is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
