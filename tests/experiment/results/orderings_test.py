"""Verdicts on orderings."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment.results import orderings

_HIGH = {0: 60.0, 1: 61.0, 2: 62.0}
_LOW = {0: 50.0, 1: 50.5, 2: 52.5}  # Differences 10, 10.5, 9.5.
_NOISY = {0: 40.0, 1: 61.0, 2: 75.0}  # Differences 20, 0, -13.


@pytest.mark.parametrize(
  ("relation", "left", "right", "verdict"),
  [
    (">", _HIGH, _LOW, orderings.CONFIRMED),
    (">", _LOW, _HIGH, orderings.REVERSED),
    (">", _HIGH, _NOISY, orderings.NOT_SIGNIFICANT),
    ("<", _LOW, _HIGH, orderings.CONFIRMED),
    ("<", _HIGH, _LOW, orderings.REVERSED),
    ("<", _NOISY, _HIGH, orderings.NOT_SIGNIFICANT),
    (">=", _HIGH, _LOW, orderings.CONFIRMED),
    (">=", _LOW, _HIGH, orderings.REVERSED),
    (">=", _HIGH, _NOISY, orderings.NOT_SIGNIFICANT),
    # Equal in every seed.
    (">=", _HIGH, _HIGH, orderings.CONFIRMED),
    (">", _HIGH, _HIGH, orderings.NOT_SIGNIFICANT),
    ("<", _HIGH, _HIGH, orderings.NOT_SIGNIFICANT),
    # A single seed is never significant, however large the difference.
    (">", {0: 99.0}, {0: 1.0}, orderings.NOT_SIGNIFICANT),
    (">", _HIGH, {}, orderings.NOT_MEASURED),
    (">", {0: 1.0}, {1: 2.0}, orderings.NOT_MEASURED),
  ],
)
def test_a_verdict_follows_from_the_paired_interval(
  relation, left, right, verdict
):
  ordering = orderings.Ordering("a", relation, "b", "step.score")
  assert orderings.judge(ordering, left, right).verdict == verdict


def test_a_judgment_has_means_difference_and_number_of_seeds():
  ordering = orderings.Ordering("a", ">", "b", "step.score")
  found = orderings.judge(ordering, _HIGH, _LOW)
  assert (found.left.mean, found.right.mean) == (61.0, 51.0)
  assert found.difference.mean == 10.0 and found.seeds == 3
  # 4.302653 * 0.5 / sqrt(3)
  assert found.difference.low == pytest.approx(10 - 1.2421, abs=1e-4)


def test_effects_of_a_seed_on_both_models_cancel():
  # Differences of 10 within a seed and of 100 between seeds.
  left = {0: 10.0, 1: 110.0, 2: 210.0}
  right = {0: 1.0, 1: 100.0, 2: 199.0}
  ordering = orderings.Ordering("a", ">", "b", "step.score")
  assert orderings.judge(ordering, left, right).verdict == orderings.CONFIRMED


def test_the_correction_makes_verdicts_not_significant():
  ordering = orderings.Ordering("a", ">", "b", "step.score")
  found = orderings.judge(ordering, _HIGH, _LOW)
  # 10 / (0.5 / sqrt(3)) = 34.64 with 2 degrees of freedom.
  assert found.p == pytest.approx(0.000832, abs=1e-6)
  difference = found.difference
  for verdict in (orderings.CONFIRMED, orderings.REVERSED):
    assert orderings.corrected(verdict, difference, 0.04) == verdict
    after = orderings.corrected(verdict, difference, 0.06)
    assert after == orderings.NOT_SIGNIFICANT
  for verdict in (orderings.NOT_SIGNIFICANT, orderings.NOT_MEASURED):
    assert orderings.corrected(verdict, difference, 0.01) == verdict
  equal = orderings.judge(ordering, _HIGH, _HIGH)
  assert equal.p == 1.0
  after = orderings.corrected(orderings.CONFIRMED, equal.difference, 1.0)
  assert after == orderings.CONFIRMED


def test_an_ordering_has_four_texts_and_may_have_a_finding():
  assert orderings.parse(("a", ">", "b", "s.m")).finding == ""
  assert orderings.parse(["a", "<", "b", "s.m", "why"]).finding == "why"


@pytest.mark.parametrize(
  "given",
  [
    ("a", ">", "b"),
    ("a", "=", "b", "s.m"),
    ("a", ">", "b", "score"),
    ("a", ">", 3, "s.m"),
    "a > b",
    None,
  ],
)
def test_other_forms_of_orderings_are_refused(given):
  with pytest.raises(errors.UsageError, match="orderings: "):
    orderings.parse(given)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
