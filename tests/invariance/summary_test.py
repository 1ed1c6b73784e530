"""Sentences about differences of models."""

import sys
import types

import numpy as np
import pytest

from tf_ssl.invariance import intervals, measurement, score, summary


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


@pytest.mark.parametrize(("noise", "is_full"), [(0.0, True), (0.5, False)])
def test_sets_of_copies_of_one_image_are_suspected(noise, is_full):
  rng = np.random.default_rng(0)
  features = np.repeat(rng.normal(size=[12, 40]), 5, axis=0)
  features += noise * rng.normal(size=features.shape)
  sets = np.repeat(np.arange(12), 5)
  found = score.representation_invariance_score(features, sets, sets % 4)
  sentences = summary.exclusions(
    types.SimpleNamespace(
      data=types.SimpleNamespace(skipped={}),
      unreadable={},
      models={"mine": types.SimpleNamespace(score=found, intervals={})},
    )
  )
  assert any("mine is exactly 100 %" in each for each in sentences) == is_full


@pytest.mark.parametrize(
  ("scores", "expected"), [((90, 99), True), ((89, 99), False), ((95,), True)]
)
def test_a_factor_is_at_the_ceiling_if_every_model_is(scores, expected):
  models = {
    str(i): types.SimpleNamespace(score=types.SimpleNamespace(scores={10: x}))
    for i, x in enumerate(scores)
  }
  result = types.SimpleNamespace(models=models)
  assert summary.at_ceiling(result, 10) == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
