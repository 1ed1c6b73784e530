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


@pytest.mark.parametrize("count", [2, 3, 8])
def test_p_is_below_a_level_where_the_interval_excludes_0(count):
  rng = np.random.default_rng(0)
  for values in rng.normal(1, 1, [200, count]):
    p = statistics.p_value(values)
    found = statistics.mean_interval(values, confidence=1 - p)
    end = min(abs(found.low), abs(found.high))
    assert end == pytest.approx(0, abs=1e-6)


def test_p_of_equal_and_of_single_values():
  assert statistics.p_value([4.0, 4.0]) == 0.0
  assert statistics.p_value([0.0, 0.0]) == 1.0
  assert np.isnan(statistics.p_value([3.0]))


def rejected(values, level):
  """Holm's step-down test: whether each hypothesis is rejected."""
  found = [False] * len(values)
  order = sorted(range(len(values)), key=values.__getitem__)
  for rank, place in enumerate(order):
    if values[place] > level / (len(values) - rank):
      break
    found[place] = True
  return found


def test_an_adjusted_p_is_the_level_from_which_holms_test_rejects():
  values = (np.random.default_rng(0).random(20) ** 3).tolist()
  for place, adjusted in enumerate(statistics.holm(values)):
    if adjusted < 1:
      assert rejected(values, adjusted * 1.001)[place]
    assert not rejected(values, adjusted * 0.999)[place]
  found = statistics.holm([0.01, np.nan, 0.04])
  assert found[0] == pytest.approx(0.02) and np.isnan(found[1])


def test_intervals_of_percentages_end_at_0_and_100():
  interval = statistics.MeanInterval(99.0, -3.0, 104.0)
  assert statistics.within_unit(interval, "%") == (99.0, 0.0, 100.0)
  assert statistics.within_unit(interval, "points") == interval


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
