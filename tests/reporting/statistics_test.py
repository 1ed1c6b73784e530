"""Means over seeds with their intervals."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.reporting import statistics


def test_three_values_by_hand():
  # Standard deviation 1, standard error 1 / sqrt(3), t with 2 degrees 4.3027.
  found = statistics.mean_interval([1, 2, 3])
  assert found.mean == 2
  assert found.high - 2 == pytest.approx(4.3027 / np.sqrt(3), abs=1e-4)
  assert 2 - found.low == pytest.approx(found.high - 2)


def test_a_single_value_has_no_interval():
  assert statistics.mean_interval([4.5]) == (4.5, None, None)


def test_intervals_cover_the_mean_at_their_confidence_level():
  rng = np.random.default_rng(0)
  held = 0
  for _ in range(2000):
    found = statistics.mean_interval(rng.normal(size=4), confidence=0.8)
    held += found.low <= 0 <= found.high
  assert held / 2000 == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("values", "confidence"), [([], 0.95), ([1], 1.0)])
def test_no_values_and_a_confidence_of_one_are_refused(values, confidence):
  with pytest.raises(errors.UsageError, match=f"{len(values)}.*{confidence}"):
    statistics.mean_interval(values, confidence=confidence)


def test_paired_differences_use_the_seeds_that_both_sides_have():
  left, right = {0: 1.0, 1: 3.0, 2: 9.0}, {1: 1.0, 0: 0.0, 5: 7.0}
  found = statistics.paired_difference(left, right)
  assert found == statistics.mean_interval([1.0, 2.0])
  assert statistics.paired_difference({0: 1.0}, {1: 1.0}) is None


def test_intervals_of_percentages_end_at_0_and_100():
  interval = statistics.MeanInterval(99.0, -3.0, 104.0)
  assert statistics.within_unit(interval, "%") == (99.0, 0.0, 100.0)
  assert statistics.within_unit(interval, "points") == interval


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
