"""Sentences about differences of models."""

import sys

import pytest

from tf_ssl.invariance import intervals, measurement, summary


def _difference(estimate, low, high):
  interval = intervals.Interval(estimate, low, high, 0.0)
  return measurement.Difference("a", "b", {10: interval})


@pytest.mark.parametrize(
  ("interval", "order", "numbers"),
  [
    ((3.0, 2.0, 4.25), ["a", "b"], "+3.0, 90 % 2.0..4.2"),
    ((-3.0, -4.25, -2.0), ["b", "a"], "+3.0, 90 % 2.0..4.2"),
  ],
)
def test_the_more_invariant_model_comes_first_with_a_positive_difference(
  interval, order, numbers
):
  text = summary.comparison("object size", _difference(*interval), 10, 0.9)
  words = text.split(":")[0].split()
  assert [word for word in words if word in "ab"] == order
  assert "object-size-invariant" in words
  assert text.endswith(f": {numbers}")


def test_an_interval_with_0_is_no_significant_difference():
  difference = _difference(0.5, -1.0, 2.0)
  assert not difference.is_significant(10)
  text = summary.comparison("scale", difference, 10, 0.95)
  assert "no significant difference" in text
  assert text.endswith("+0.5, 95 % -1.0..2.0")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
