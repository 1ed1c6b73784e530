"""Outcomes of controls."""

import sys

import numpy as np
import pytest

from tf_ssl.experiment.results import controls, orderings

_HIGH = {0: 60.0, 1: 61.0, 2: 62.0}
_LOW = {0: 50.0, 1: 50.5, 2: 52.5}
_NOISY = {0: 40.0, 1: 61.0, 2: 75.0}


@pytest.mark.parametrize(
  ("relation", "left", "right", "outcome"),
  [
    (">", _HIGH, _LOW, controls.PASSED),
    (">", _LOW, _HIGH, controls.FAILED),
    (">", _HIGH, _NOISY, controls.FAILED),
    ("<", _LOW, _HIGH, controls.PASSED),
    ("=", _HIGH, _NOISY, controls.PASSED),
    ("=", _HIGH, _LOW, controls.FAILED),
    ("=", _LOW, _HIGH, controls.FAILED),
    ("=", {0: 1.0}, {0: 99.0}, orderings.NOT_MEASURED),
    (">", _HIGH, {}, orderings.NOT_MEASURED),
  ],
)
def test_an_outcome_follows_from_the_paired_interval(
  relation, left, right, outcome
):
  control = orderings.Ordering("a", relation, "b", "step.score")
  found = controls.judge(control, left, right)
  assert found.verdict == outcome and found.ordering == control


def test_a_model_and_itself_are_two_halves_of_its_seeds():
  control = orderings.Ordering("a", "=", "a", "step.score")
  by_seed = {7: 1.0, 2: 9.0, 5: 4.0, 3: 3.0, 9: 50.0}  # 2, 3 and 5, 7; not 9.
  found = controls.judge(control, by_seed, by_seed)
  assert (found.left.mean, found.right.mean, found.seeds) == (6.0, 2.5, 2)
  assert found.difference.mean == 3.5
  few = controls.judge(control, _HIGH, _HIGH)
  assert few.verdict == orderings.NOT_MEASURED


def test_one_in_twenty_negative_controls_fails_by_chance():
  rng = np.random.default_rng(0)
  control = orderings.Ordering("a", "=", "a", "step.score")
  failed = 0
  for _ in range(1000):
    by_seed = dict(enumerate(rng.normal(50, 3, 10).tolist()))
    failed += controls.judge(control, by_seed, {}).verdict == controls.FAILED
  assert failed / 1000 == pytest.approx(0.05, abs=0.02)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
