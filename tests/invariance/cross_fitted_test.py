"""The cross-fitted score compared to loops and to what is known."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import cross_fitted, firing
from tf_ssl.invariance import score as score_lib


def _score(features, *, sets_per_class=6, images=8, top_k=(2, 5), **options):
  sets = np.arange(len(features)) // images
  return score_lib.representation_invariance_score(
    features, sets, sets // sets_per_class, top_k=top_k, **options
  )


def _images(seed=0, *, classes=5, per_class=6, units=60, effect=0.0):
  """Units with an effect of the class: [classes * per_class * 8, units]."""
  rng = np.random.default_rng(seed)
  features = rng.normal(size=[classes, per_class, 8, units])
  features += effect * rng.normal(size=[classes, 1, 1, units])
  return features.reshape(-1, units).astype(np.float32)


def _slow(score, features, splits, seed):
  """Set by set and unit by unit, from the images: {K: (percent, chance)}."""
  high, low = score.thresholds
  fires = [features > high, features < low]  # [N, D]
  sets = range(len(score.sets.ids))
  members = [np.flatnonzero(score.sets.membership == z) for z in sets]
  only_firing = score.variant == "code"

  def rate(sign, unit, chosen):
    shares = [fires[sign][members[z], unit].mean() for z in chosen]
    if only_firing:
      shares = [share for share in shares if share]
    return np.mean(shares) if shares else np.nan

  def chance(sign, unit, chosen):
    seen = np.concatenate([members[z] for z in chosen])
    others = np.setdiff1d(np.concatenate(members), seen)
    p = fires[sign][others, unit].mean()
    # All sets have 8 images.
    none = (1 - p) ** 8
    return p / (1 - none) if only_firing else p

  found = {k: [[] for _ in score.sets.classes] for k in score.scores}
  for c in range(len(score.sets.classes)):
    rows = np.flatnonzero(score.sets.set_classes == c)
    rng = np.random.default_rng([seed, c])
    order = rng.permuted(np.tile(np.arange(len(rows)), [splits, 1]), axis=1)
    for split in order:
      one = rows[split < len(rows) // 2]
      other = np.setdiff1d(rows, one)
      for chosen, scored in ((one, other), (other, one)):
        best = []
        for unit in range(features.shape[1]):
          rates = np.nan_to_num([rate(sign, unit, chosen) for sign in (0, 1)])
          sign = int(rates[1] > rates[0])
          value = rates[sign] / score.rates[unit]
          best.append((-round(value, 5), unit, sign))
        best = sorted(best)
        for k in score.scores:
          pairs = [
            (rate(sign, unit, scored), chance(sign, unit, chosen))
            for _, unit, sign in best[:k]
          ]
          found[k][c] += [pair for pair in pairs if not np.isnan(pair[0])]
  return {
    k: 100
    * np.mean([np.mean(pairs, axis=0) for pairs in of_classes if pairs], axis=0)
    for k, of_classes in found.items()
  }


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize("per_class", [2, 5, 6])
def test_it_equals_a_loop_over_images(variant, per_class):
  features = _images(1, per_class=per_class, effect=1.0, units=20)
  score = _score(features, sets_per_class=per_class, variant=variant)
  found = cross_fitted.cross_fitted(score, splits=3, seed=4)
  for k, (value, chance) in _slow(score, features, 3, 4).items():
    assert found.scores[k] == pytest.approx(value, rel=1e-5)
    assert found.chance[k] == pytest.approx(chance, rel=1e-5)


@pytest.mark.parametrize(
  ("variant", "expected"), [("formula", 20), ("code", 20 / (1 - 0.8**8))]
)
def test_random_features_score_at_chance_and_the_score_itself_above(
  variant, expected
):
  found = []
  for seed in range(20):
    score = _score(_images(seed), variant=variant)
    one = cross_fitted.cross_fitted(score)
    assert one.chance[5] == pytest.approx(expected, abs=3)
    assert score.scores[5] > one.scores[5] + 5
    found.append(one.scores[5] - one.chance[5])
  error = np.std(found, ddof=1) / np.sqrt(len(found))
  assert abs(np.mean(found)) < 3 * error < 1.5


def test_units_that_know_the_class_keep_their_score():
  features = _images(units=20, effect=8.0)
  score = _score(features)
  found = cross_fitted.cross_fitted(score)
  assert found.scores[2] > 90
  assert found.scores[2] == pytest.approx(score.scores[2], abs=5)
  interval = found.intervals[2]
  assert interval.low <= found.scores[2] <= interval.high <= 100


def test_units_that_know_their_object_are_invariant_in_variant_code_only():
  # What a unit knows about one set of a class says nothing about another: it
  # fires there at random, but on all images or on none.
  rng = np.random.default_rng(0)
  features = np.repeat(rng.normal(size=[60, 80]), 8, axis=0)
  features += 0.01 * rng.normal(size=features.shape)
  found = cross_fitted.cross_fitted(_score(features, sets_per_class=12))
  assert found.scores[5] > 90
  score = _score(features, sets_per_class=12, variant="formula")
  found = cross_fitted.cross_fitted(score)
  low, high = found.intervals[5].low, found.intervals[5].high
  assert low - 2 < found.chance[5] < high + 2
  assert found.scores[5] < 0.7 * score.scores[5]


def test_classes_in_which_no_chosen_unit_fires_do_not_count():
  # Units of 30 objects in 10 classes, which fire on 3 objects each.
  rng = np.random.default_rng(0)
  objects = rng.normal(size=[30, 3]) @ rng.normal(size=[3, 40])
  features = np.repeat(objects, 8, axis=0)
  features += 1e-4 * rng.normal(size=features.shape)
  score = _score(features, sets_per_class=3)
  found = cross_fitted.cross_fitted(score, splits=2, seed=1)
  for k, (value, chance) in _slow(score, features, 2, 1).items():
    assert found.scores[k] == pytest.approx(value, rel=1e-5)
    assert found.chance[k] == pytest.approx(chance, rel=1e-5)
  assert found.scores[2] > 80 and found.chance[2] > 12
  interval = found.intervals[2]
  assert interval.low <= found.scores[2] <= interval.high


@pytest.mark.parametrize("variant", firing.VARIANTS)
def test_the_interval_covers_the_average_of_other_sets(variant):
  effect = np.random.default_rng(99).normal(size=[5, 1, 1, 60])
  scores = []
  for seed in range(40):
    noise = _images(seed).reshape(5, 6, 8, 60) + 0.7 * effect
    scores.append(
      cross_fitted.cross_fitted(
        _score(noise.reshape(-1, 60).astype(np.float32), variant=variant)
      )
    )
  average = np.mean([one.scores[5] for one in scores])
  inside = [
    one.intervals[5].low <= average <= one.intervals[5].high for one in scores
  ]
  assert 33 <= sum(inside)  # Of 40; exact 95 % intervals would cover 38.


@pytest.mark.parametrize("variant", firing.VARIANTS)
def test_classes_of_two_sets_have_an_interval_too(variant):
  features = _images(per_class=2, effect=0.7)
  score = _score(features, sets_per_class=2, variant=variant)
  interval = cross_fitted.cross_fitted(score).intervals[5]
  assert interval.low + 1 < interval.estimate < interval.high - 1


def test_classes_of_one_set_are_excluded_and_without_others_there_is_no_score():
  features = _images()
  sets = np.arange(len(features)) // 8
  alone = score_lib.representation_invariance_score(features, sets, top_k=(5,))
  assert cross_fitted.cross_fitted(alone) is None
  classes = np.where(sets == 29, 9, sets // 6)
  some = score_lib.representation_invariance_score(
    features, sets, classes, top_k=(5,)
  )
  assert cross_fitted.cross_fitted(some).num_classes == 5


def test_equal_seeds_give_equal_scores():
  score = _score(_images())
  one = cross_fitted.cross_fitted(score)
  assert one == cross_fitted.cross_fitted(score)
  assert one.scores != cross_fitted.cross_fitted(score, seed=1).scores


def test_arguments_out_of_range_are_refused():
  with pytest.raises(errors.UsageError, match="splits is 0"):
    cross_fitted.cross_fitted(_score(_images()), splits=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
