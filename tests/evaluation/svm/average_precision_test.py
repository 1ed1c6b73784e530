"""Tests of tf_ssl.evaluation.svm.average_precision."""

import fractions
import sys

import numpy as np
import pytest
from sklearn import metrics

from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision


def _slow(scores, targets):
  """Reference: eleven points and area by threshold, in exact fractions."""
  kept = [(s, t) for s, t in zip(scores, targets, strict=True) if t in (0, 1)]
  positives = sum(t for _, t in kept)
  curve = []
  for threshold in sorted({s for s, _ in kept}, reverse=True):
    above = [t for s, t in kept if s >= threshold]
    curve.append(
      (
        fractions.Fraction(sum(above), positives),
        fractions.Fraction(sum(above), len(above)),
      )
    )

  def best(recall):
    return max((p for r, p in curve if r >= recall), default=0)

  eleven = sum(best(fractions.Fraction(i, 10)) for i in range(11)) / 11
  area, before = 0, 0
  for recall, _ in curve:
    area += (recall - before) * best(recall)
    before = recall
  return float(eleven), float(area)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("count", [1, 2, 10, 30, 200])
def test_it_equals_exact_fractions_and_scikit_learn(count, ties):
  rng = np.random.default_rng(count)
  for _ in range(20):
    scores = rng.integers(0, 5, count) if ties else rng.normal(size=count)
    targets = rng.integers(-1, 2, count)
    targets[rng.integers(count)] = 1
    found = average_precision.average_precision(scores, targets)
    eleven, area = _slow(scores.tolist(), targets.tolist())
    assert found.eleven_points == pytest.approx(eleven, abs=1e-12)
    assert found.area == pytest.approx(area, abs=1e-12)
    kept = targets >= 0
    expected = metrics.average_precision_score(targets[kept], scores[kept])
    assert found.steps == pytest.approx(expected, abs=1e-12)


def test_area_is_scikit_learns_where_precision_never_rises():
  scores, targets = np.arange(9)[::-1], np.array([1, 1, 1, 0, 0, 0, 0, 0, 0])
  found = average_precision.average_precision(scores, targets)
  assert found == (1.0, 1.0, 1.0)
  # Two positives at the top, the third at the very end of a tie with all.
  targets = np.array([1, 1, 0, 0, 0, 0, 0, 0, 1])
  found = average_precision.average_precision([3, 3, *[1] * 7], targets)
  assert found.area == pytest.approx(2 / 3 + 1 / 3 * 3 / 9)
  assert found.area == pytest.approx(
    metrics.average_precision_score(targets, [3, 3, *[1] * 7])
  )


def test_an_example_by_hand():
  # Ranks of the positives: 1, 3. Precision 1 up to a recall of 1/2, then 2/3:
  # at recalls 0 to 0.5 (6 points) 1, at 0.6 to 1 (5 points) 2/3.
  found = average_precision.average_precision([4, 3, 2, 1], [1, 0, 1, 0])
  assert found.eleven_points == pytest.approx((6 + 5 * 2 / 3) / 11)
  assert found.area == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_area_raises_precision_and_steps_does_not():
  # Ranks 2, 3: precisions 1/2 and 2/3.
  found = average_precision.average_precision([4, 3, 2], [0, 1, 1])
  assert found.steps == pytest.approx((1 / 2 + 2 / 3) / 2)
  assert found.area == pytest.approx(2 / 3)
  assert found.eleven_points == pytest.approx(2 / 3)


def test_a_recall_of_a_tenth_reaches_its_point():
  # 10 positives, a negative after each: recalls are 0.1, 0.2, ..., of which
  # 0.3, 0.6 and 0.7 as sums of 0.1 are a little more than 3 / 10 and so on.
  targets = np.tile([1, 0], 10)
  found = average_precision.average_precision(-np.arange(20), targets)
  expected = [1] + [i / (2 * i - 1) for i in range(1, 11)]
  assert found.eleven_points == pytest.approx(np.mean(expected))


def test_ignored_examples_do_not_count():
  found = average_precision.average_precision([9, 8, 7, 6], [-1, 1, -1, 0])
  assert found == (1.0, 1.0, 1.0)


def test_equal_scores_give_the_fraction_of_positives():
  found = average_precision.average_precision(np.zeros(8), [1, 0] * 4)
  assert found == pytest.approx((0.5, 0.5, 0.5))


def test_a_class_without_positives_has_no_precision():
  found = average_precision.of_classes(
    np.array([[1.0, 2], [3, 4]]), np.array([[0, 1], [-1, 0]])
  )
  for each in found:
    assert np.isnan(each[0]) and not np.isnan(each[1])
  assert found.area[1] == 0.5


def test_chance_is_the_mean_over_random_rankings():
  # One positive of two: it is first in half of the draws, 1 or 1/2.
  found = average_precision.chance(np.array([[1], [0]]), draws=400)
  assert found.steps[0] == pytest.approx(0.75, abs=0.05)
  again = average_precision.chance(np.array([[1], [0]]), draws=400)
  assert again.steps[0] == found.steps[0]


@pytest.mark.parametrize(
  ("scores", "targets", "message"),
  [
    ([1.0, 2.0], [1], r"shape \(2,\) and targets \(1,\)"),
    ([1.0, 2.0], [1, 2], "targets"),
    ([1.0, np.nan], [1, 0], "1 of 2 scores"),
  ],
)
def test_invalid_scores_and_targets_are_refused(scores, targets, message):
  with pytest.raises(errors.UsageError, match=message):
    average_precision.average_precision(np.array(scores), np.array(targets))
  with pytest.raises(errors.UsageError, match=r"\[N, C\]"):
    average_precision.of_classes(np.array(scores), np.array(targets))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
