"""Power and numbers of seeds, against simulation and limiting cases."""

import math
import sys

import numpy as np
import pytest
from scipy import stats

from tf_ssl import errors
from tf_ssl.reporting import power, statistics


def _simulated(effect, seeds, level, count=4000):
  """Share of simulated experiments with p <= level."""
  rng = np.random.default_rng(seeds)
  found = rng.normal(effect, 1, [count, seeds])
  return np.mean(stats.ttest_1samp(found, 0, axis=1).pvalue <= level)


@pytest.mark.parametrize(
  ("effect", "seeds", "level"),
  [(1.0, 3, 0.05), (-2.0, 4, 0.05), (0.5, 34, 0.05), (0.8, 12, 0.01)],
)
def test_power_is_the_share_of_simulated_experiments(effect, seeds, level):
  found = power.power(effect, seeds, level=level)
  assert found == pytest.approx(_simulated(effect, seeds, level), abs=0.02)


def test_the_power_of_no_effect_is_the_level():
  assert power.power(0.0, 5, level=0.03) == pytest.approx(0.03)
  assert power.power(math.inf, 2) == 1.0


def test_many_seeds_approach_the_normal_approximation():
  # ((1.959964 + 0.841621) / effect)^2, and about 2 more for Student's t.
  normal = (2.801585 / 0.1) ** 2
  assert normal < power.seeds_needed(0.1) < normal + 3


@pytest.mark.parametrize("effect", [0.3, 0.8, -1.5, 4.0])
def test_the_smallest_number_of_seeds_reaches_the_power(effect):
  found = power.seeds_needed(effect)
  assert power.power(effect, found) >= 0.8
  assert found == 2 or power.power(effect, found - 1) < 0.8


def test_effects_without_spread_and_without_size():
  assert power.seeds_needed(math.inf) == 2
  assert power.seeds_needed(-math.inf) == 2
  assert power.seeds_needed(0.0) is None
  assert power.seeds_needed(0.001) is None


def test_one_test_needs_no_correction():
  assert power.seeds_needed_with_holm([0.7]) == [power.seeds_needed(0.7)]
  found = power.seeds_needed_with_holm([math.nan, 0.7, math.nan])
  assert found == [None, power.seeds_needed(0.7), None]


def test_the_last_of_certain_tests_is_tested_at_the_full_level():
  found = power.seeds_needed_with_holm([math.inf] * 9 + [0.7])
  assert found[-1] == pytest.approx(power.seeds_needed(0.7), abs=1)


def test_a_test_among_hopeless_ones_is_tested_at_bonferronis_level():
  found = power.seeds_needed_with_holm([0.0] * 9 + [0.7])
  bonferroni = power.seeds_needed(0.7, level=0.005)
  assert bonferroni - 1 <= found[-1] <= bonferroni
  assert found[:-1] == [None] * 9


def test_holms_power_is_the_share_of_simulated_tables():
  effects = np.array([1.5, 0.9, 0.6, 0.0])
  needed = power.seeds_needed_with_holm(effects)
  seeds = needed[1]
  rng = np.random.default_rng(1)
  rejected = np.zeros(4)
  for _ in range(3000):
    given = rng.normal(effects, 1, [seeds, 4])
    p = stats.ttest_1samp(given, 0, axis=0).pvalue
    rejected += np.array(statistics.holm(p)) <= 0.05
  assert rejected[1] / 3000 == pytest.approx(0.8, abs=0.04)
  assert needed[0] < needed[1] < needed[2] and needed[3] is None


def test_the_interval_covers_the_effect_at_its_confidence_level():
  rng = np.random.default_rng(0)
  held = 0
  for _ in range(1000):
    given = rng.normal(1.2, 1, 3)
    effect = given.mean() / given.std(ddof=1)
    found = power.effect_interval(effect, 3, confidence=0.8)
    held += found.low <= 1.2 <= found.high
  assert held / 1000 == pytest.approx(0.8, abs=0.04)


def test_intervals_of_the_limits():
  assert power.effect_interval(math.inf, 3, confidence=0.8) == (
    math.inf,
    math.inf,
  )
  low, high = power.effect_interval(0.0, 4, confidence=0.8)
  # With t = 0, the ends are those of a normal mean: 1.281552 / sqrt(4).
  assert (low, high) == pytest.approx((-0.640776, 0.640776), abs=1e-4)
  with pytest.raises(errors.UsageError, match="1 seeds"):
    power.effect_interval(1.0, 1, confidence=0.8)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
