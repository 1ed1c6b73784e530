"""Resampled scores compared to a loop, intervals to repeated draws."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import firing, intervals
from tf_ssl.invariance import score as score_lib


def _images(seed, *, classes=4, per_class=7, images=8, units=40, noise=1.0):
  """Units with an effect of class and of set: features, sets, classes."""
  rng = np.random.default_rng(seed)
  effect = np.random.default_rng(99).normal(size=(classes, 1, 1, units))
  features = effect + rng.normal(size=(classes, per_class, 1, units))
  features = features + noise * rng.normal(
    size=(classes, per_class, images, units)
  )
  sets = np.repeat(np.arange(classes * per_class), images)
  features = features.reshape(-1, units).astype(np.float32)
  return features, sets, sets // per_class


def _score(seed=0, *, variant="code", top_k=(3, 6), **options):
  return score_lib.representation_invariance_score(
    *_images(seed, **options), variant=variant, top_k=top_k
  )


def _slow_replicate(score, drawn):
  """One resample, unit by unit, from the sets drawn in each class."""
  scores = {k: [] for k in score.scores}
  for sets in drawn:
    found = []
    for unit, rate in enumerate(score.rates):
      above = score.firing.above[0, sets, unit] / score.sets.sizes[sets]
      below = score.firing.below[0, sets, unit] / score.sets.sizes[sets]
      if score.variant == "code":
        shares = [share for share in np.maximum(above, below) if share > 0]
        local = np.mean(shares) if shares else 0.0
      else:
        local = max(np.mean(above), np.mean(below))
      found.append(100 * score.firing_fraction * local / rate)
    for k, means in scores.items():
      means.append(np.mean(sorted(found)[-k:]))
  return {k: np.mean(means) for k, means in scores.items()}


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize("per_class", [3, 7])
@pytest.mark.parametrize("units", [9, 120])
def test_resampled_scores_equal_those_of_a_loop(variant, per_class, units):
  score = _score(variant=variant, per_class=per_class, units=units)

  found = intervals.replicates(score, resamples=5, seed=2)

  weights = [
    np.random.default_rng([2, c]).multinomial(
      per_class, np.full(per_class, 1 / per_class), size=5
    )
    for c in range(4)
  ]
  for row in range(5):
    drawn = [
      np.repeat(np.flatnonzero(score.sets.set_classes == c), weights[c][row])
      for c in range(4)
    ]
    for k, value in _slow_replicate(score, drawn).items():
      assert found[k][row] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("variant", firing.VARIANTS)
def test_a_resample_with_each_set_once_gives_the_score(variant):
  score = _score(variant=variant)
  drawn = [np.flatnonzero(score.sets.set_classes == c) for c in range(4)]
  for k, value in _slow_replicate(score, drawn).items():
    assert score.scores[k] == pytest.approx(value)


def test_chunks_do_not_change_the_resampled_scores(monkeypatch):
  score = _score(units=60)
  whole = intervals.replicates(score, resamples=50)

  monkeypatch.setattr(intervals, "_MAX_VALUES", 600)  # 10 resamples.
  monkeypatch.setattr(intervals, "_CLASSES_AT_ONCE", 3)

  for k, values in intervals.replicates(score, resamples=50).items():
    np.testing.assert_allclose(values, whole[k], rtol=1e-6)


def test_classes_are_resampled_if_each_has_one_set():
  features, sets, _ = _images(0)
  score = score_lib.representation_invariance_score(features, sets, top_k=(3,))

  drawn = intervals.replicates(score, resamples=4000)[3]

  spread = np.std(score.class_scores[3]) / np.sqrt(28)
  assert np.std(drawn) == pytest.approx(spread, rel=0.1)
  assert np.mean(drawn) == pytest.approx(score.scores[3], abs=0.1 * spread)


def test_a_class_with_one_set_adds_its_score_and_no_variation():
  features, sets, classes = _images(0, classes=2)
  classes = np.where(sets == 13, 5, classes)
  score = score_lib.representation_invariance_score(
    features, sets, classes, top_k=(3,)
  )
  assert score.sets.sets_of_class.tolist() == [7, 6, 1]
  drawn = intervals.replicates(score, resamples=200)[3]
  assert np.all(3 * drawn >= score.class_scores[3][2])
  assert drawn.std() > 0


@pytest.mark.parametrize("variant", firing.VARIANTS)
def test_intervals_cover_the_average_score_of_other_sets(variant):
  options = {"variant": variant, "top_k": (5,), "per_class": 10, "units": 20}
  average = np.mean([_score(seed, **options).scores[5] for seed in range(100)])

  inside = 0
  for seed in range(100, 140):
    found = intervals.intervals(_score(seed, **options), resamples=200)[5]
    assert found.low < found.estimate < found.high
    inside += found.low <= average <= found.high

  assert inside >= 35  # Of 40; exact 95 % intervals would cover 38.


def test_the_bias_of_resamples_is_subtracted():
  score = _score(per_class=10)
  drawn = intervals.replicates(score, resamples=1000)[3]
  found = intervals.intervals(score)[3]

  assert np.quantile(drawn, 0.025) > score.scores[3]  # Percentiles miss it.
  assert found.bias == pytest.approx(drawn.mean() - score.scores[3])
  width = np.subtract(*np.quantile(drawn, (0.975, 0.025)))
  assert found.high - found.low == pytest.approx(width)


def test_paired_differences_have_narrower_intervals_than_unpaired_ones():
  # Sets that are hard for one model are hard for the other.
  features, sets, classes = _images(1, per_class=20)
  blurred = features + 0.3 * np.random.default_rng(2).normal(
    size=features.shape
  ).astype(np.float32)
  score, other = (
    score_lib.representation_invariance_score(some, sets, classes, top_k=(5,))
    for some in (features, blurred)
  )

  found = intervals.differences(score, other)[5]

  assert found.estimate == score.scores[5] - other.scores[5] > 0
  assert found.low < found.estimate < found.high
  one, two = intervals.intervals(score)[5], intervals.intervals(other)[5]
  independent = np.hypot(one.high - one.low, two.high - two.low)
  assert found.high - found.low < 0.9 * independent


def test_a_model_does_not_differ_from_itself():
  score = _score()
  found = intervals.differences(score, score)
  assert found == {k: intervals.Interval(0, 0, 0, 0) for k in (3, 6)}


def test_models_of_different_widths_are_compared_at_their_common_k():
  found = intervals.differences(
    _score(units=40), _score(units=90, top_k=(6, 20))
  )
  assert list(found) == [6]


def test_equal_seeds_give_equal_intervals():
  score = _score()
  assert intervals.intervals(score) == intervals.intervals(score)
  assert intervals.intervals(score, seed=1) != intervals.intervals(score)
  narrow = intervals.intervals(score, confidence=0.5)[3]
  wide = intervals.intervals(score)[3]
  assert wide.low < narrow.low < narrow.high < wide.high


def test_a_class_without_sets_counts_as_in_the_score():
  features, sets, classes = _images(3)
  kept = (classes < 3) | (np.arange(len(sets)) % 8 < 2)
  for variant in firing.VARIANTS:
    score = score_lib.representation_invariance_score(
      features[kept], sets[kept], classes[kept], top_k=(3,), variant=variant
    )
    found = intervals.intervals(score)[3]
    assert found.low < score.scores[3] < found.high
    assert abs(found.bias) < 0.3 * score.scores[3]


@pytest.mark.parametrize(
  ("other", "message"),
  [
    ({"per_class": 6}, "28 and 24 sets"),
    ({"variant": "formula"}, "variant code and formula"),
    ({"top_k": (4,)}, r"top_k \(3, 6\) and \(4,\)"),
  ],
)
def test_models_that_cannot_be_compared_are_refused(other, message):
  with pytest.raises(errors.UsageError, match=message):
    intervals.differences(_score(), _score(**other))


def test_arguments_out_of_range_and_a_single_set_are_refused():
  with pytest.raises(errors.UsageError, match="resamples is 1 and"):
    intervals.intervals(_score(), resamples=1)
  with pytest.raises(errors.UsageError, match="confidence 95"):
    intervals.intervals(_score(), confidence=95)
  features, sets, _ = _images(0, classes=1, per_class=1, images=40)
  one = score_lib.representation_invariance_score(
    features, sets, top_k=(3,), firing_fraction=0.1
  )
  with pytest.raises(errors.UsageError, match="only one set"):
    intervals.intervals(one)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
