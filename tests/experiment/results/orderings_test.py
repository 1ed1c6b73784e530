"""What numbers say of an ordering, on made-up numbers."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment.results import orderings

_HIGH = {0: 60.0, 1: 61.0, 2: 62.0}
_LOW = {0: 50.0, 1: 50.5, 2: 52.5}  # differences 10, 10.5, 9.5
_NOISY = {0: 40.0, 1: 61.0, 2: 75.0}  # differences 20, 0, -13


@pytest.mark.parametrize(
  ("relation", "left", "right", "verdict"),
  [
    (">", _HIGH, _LOW, orderings.SHOWN),
    (">", _LOW, _HIGH, orderings.OPPOSITE),
    (">", _HIGH, _NOISY, orderings.UNDECIDED),
    ("<", _LOW, _HIGH, orderings.SHOWN),
    ("<", _HIGH, _LOW, orderings.OPPOSITE),
    ("<", _NOISY, _HIGH, orderings.UNDECIDED),
    (">=", _HIGH, _LOW, orderings.SHOWN),
    (">=", _LOW, _HIGH, orderings.OPPOSITE),
    (">=", _HIGH, _NOISY, orderings.UNDECIDED),
    # equal in every seed: at least as much, and not more
    (">=", _HIGH, _HIGH, orderings.SHOWN),
    (">", _HIGH, _HIGH, orderings.UNDECIDED),
    ("<", _HIGH, _HIGH, orderings.UNDECIDED),
    # a single seed decides nothing, however large the difference
    (">", {0: 99.0}, {0: 1.0}, orderings.UNDECIDED),
    (">", _HIGH, {}, orderings.NOT_MEASURED),
    (">", {0: 1.0}, {1: 2.0}, orderings.NOT_MEASURED),
  ],
)
def test_a_verdict_follows_from_the_paired_interval(
  relation, left, right, verdict
):
  ordering = orderings.Ordering("a", relation, "b", "step.score")
  assert orderings.judge(ordering, left, right).verdict == verdict


def test_a_judgment_carries_its_numbers():
  ordering = orderings.Ordering("a", ">", "b", "step.score")
  found = orderings.judge(ordering, _HIGH, _LOW)
  assert (found.left.mean, found.right.mean) == (61.0, 51.0)
  assert found.difference.mean == 10.0
  # 4.302653 * 0.5 / sqrt(3)
  assert found.difference.low == pytest.approx(10 - 1.2421, abs=1e-4)


def test_what_both_share_by_seed_does_not_blur_the_difference():
  """Means that differ by 10 within a seed and by 100 between seeds."""
  left = {0: 10.0, 1: 110.0, 2: 210.0}
  right = {0: 1.0, 1: 100.0, 2: 199.0}
  ordering = orderings.Ordering("a", ">", "b", "step.score")
  assert orderings.judge(ordering, left, right).verdict == orderings.SHOWN


def test_an_ordering_is_four_words_or_five():
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
def test_anything_else_is_refused(given):
  with pytest.raises(errors.UsageError, match="orderings: .*LEFT, RELATION"):
    orderings.parse(given)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
