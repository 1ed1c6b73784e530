"""Ranges of the factor, their references and periodic factors."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import curve, firing, score


def _views(step=10.0, *, sets=20, units=12, seed=0, spread=30.0):
  """Units that fade as the view leaves 0: features, sets, views."""
  rng = np.random.default_rng(seed)
  views = np.arange(-90, 91, step)
  objects = np.repeat(np.arange(sets), len(views))
  view = np.tile(views, sets)
  look = rng.normal(size=(sets, units))[objects]
  other = rng.normal(size=(len(view), units))
  close = np.exp(-((view / spread) ** 2))[:, np.newaxis]
  features = close * look + (1 - close) * other
  return features.astype(np.float32), objects, view


def _curve(*args, **options):
  return curve.invariance_curve(*args, top_k=(5,), **options)


def test_an_invariance_that_fades_with_the_view_decreases_over_the_range():
  features, sets, view = _views()

  points = _curve(features, sets, sets % 4, view, (20, 40, 90, np.inf))

  scores = [point.score.scores[5] for point in points]
  assert scores[0] > scores[1] > scores[2]
  assert [point.num_images for point in points] == [100, 180, 380, 380]
  whole = score.representation_invariance_score(
    features, sets, sets % 4, top_k=(5,)
  )
  assert scores[2] == scores[3] == whole.scores[5]


def test_a_range_is_scored_like_its_images_alone():
  features, sets, view = _views()
  near = np.abs(view) <= 30
  for variant in firing.VARIANTS:
    point = _curve(features, sets, None, view, [30], variant=variant)[0]
    alone = score.representation_invariance_score(
      features[near], sets[near], top_k=(5,), variant=variant
    )
    assert point.score.scores == alone.scores
    np.testing.assert_array_equal(point.score.rates, alone.rates)


@pytest.mark.parametrize(
  ("reference", "period", "near"),
  [
    ("first", None, [0, 10, 20, 30, 40]),  # Of 10.
    ("first", 360, [0, 10, 20, 30, 40, 340, 350]),
    ("middle", None, [10, 20, 30, 40]),  # Of 40.
    (0, None, [0, 10, 20, 30]),
    (0, 360, [0, 10, 20, 30, 340, 350]),
    (-360, 360, [0, 10, 20, 30, 340, 350]),
    (350.0, 360, [0, 10, 20, 340, 350]),
    (350.0, None, [340, 350]),
  ],
)
def test_reference_and_period_decide_which_images_are_near(
  reference, period, near
):
  views = np.array([10, 350, 200, 0, 30, 190, 20, 340, 40])  # One set.
  distance = curve._distances(np.zeros(9, int), views, reference, period)
  assert sorted(views[distance <= 30]) == near
  assert distance.min() == 0


def test_the_middle_of_each_set_is_its_lower_median():
  sets = np.array([7, 3, 7, 3, 7, 3, 3])
  factor = np.array([5.0, 1.0, 9.0, 4.0, 7.0, 2.0, 3.0])
  distance = curve._distances(sets, factor, "middle", None)
  # Set 7: 5 7 9, middle 7; set 3: 1 2 3 4, middle 2.
  assert distance.tolist() == [2, 1, 2, 2, 0, 0, 1]


def test_ranges_with_too_few_images_have_a_reason_and_others_a_score():
  features, sets, view = _views()
  points = _curve(features, sets, None, view, (5, 10))
  assert points[0].score is None and points[0].num_images == 20
  assert "fewer than 3" in points[0].reason
  assert points[1].score.scores[5] > 0 and points[1].reason == ""
  with pytest.raises(errors.UsageError, match=r"no range of \[5\].*fewer"):
    _curve(features, sets, None, view, [5])
  with pytest.raises(errors.UsageError, match="all 0 sets"):
    _curve(features, sets, None, view, [30], reference=500)


@pytest.mark.parametrize(
  ("near", "reason"), [("same", "same value in all"), ("half", "units fires")]
)
def test_ranges_without_a_firing_unit_have_a_reason_and_others_a_score(
  near, reason
):
  features, sets, view = _views()
  within = np.abs(view) <= 30
  number = np.arange(np.count_nonzero(within))
  features[within] = 0 if near == "same" else number[:, np.newaxis] % 2
  points = _curve(features, sets, None, view, (30, np.inf), reference=0)
  assert points[0].score is None and reason in points[0].reason
  assert points[1].score.scores[5] > 0


def test_the_firing_fraction_is_that_of_all_classes_in_every_range():
  features, sets, view = _views()
  # No image of class 0 is near 0.
  near_class_1 = np.where(sets % 2 == 0, view + 1000, view)
  points = _curve(
    features, sets, sets % 2, near_class_1, (30, np.inf), reference=0
  )
  assert [point.score.firing_fraction for point in points] == [0.5, 0.5]
  assert points[0].score.sets.classes.tolist() == [1]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"factor": np.zeros(7)}, r"factor is float64 of shape \(7,\)"),
    ({"factor": np.full(380, "left")}, "factor is <U4"),
    ({"factor": np.full(380, np.nan)}, "380 of 380 factor values are NaN"),
    ({"ranges": ()}, r"ranges are \[\]"),
    ({"ranges": (-1,)}, r"ranges are \[-1\]"),
    ({"ranges": (np.nan,)}, r"ranges are \[nan\]"),
    ({"period": 0}, "period is 0"),
    ({"reference": "last"}, "reference is 'last'"),
    ({"reference": np.nan}, "reference is nan"),
    ({"variant": "paper"}, "variant is 'paper'"),
  ],
)
def test_arguments_out_of_range_are_refused(change, message):
  features, sets, view = _views()
  arguments = {"factor": view, "ranges": (30,), **change}
  with pytest.raises(errors.UsageError, match=message):
    _curve(features, sets, None, **arguments)


def test_features_with_nan_are_an_error_not_a_reason():
  features, sets, view = _views()
  features[view == 90] = np.nan
  with pytest.raises(errors.UsageError, match="20 of 380 rows"):
    _curve(features, sets, None, view, (30, np.inf))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
