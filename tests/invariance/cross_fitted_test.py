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
  members = [
    np.flatnonzero(score.sets.membership == z)
    for z in range(len(score.sets.ids))
  ]
  found = {k: [] for k in score.scores}
  for c in range(len(score.sets.classes)):
    rows = np.flatnonzero(score.sets.set_classes == c)
    rng = np.random.default_rng([seed, c])
    order = rng.permuted(np.tile(np.arange(len(rows)), [splits, 1]), axis=1)
    of_sets = {k: {z: [] for z in rows} for k in score.scores}
    for split in order:
      half = rows[split < len(rows) // 2]
      for chosen, scored in (
        (half, np.setdiff1d(rows, half)),
        (np.setdiff1d(rows, half), half),
      ):
        rates = np.array(
          [
            np.mean(
              [fires[sign][members[z]].mean(axis=0) for z in chosen], axis=0
            )
            for sign in (0, 1)
          ]
        )
        sign = (rates[1] > rates[0]).astype(int)
        units = np.argsort(-rates.max(axis=0).round(6), kind="stable")
        seen = np.concatenate([members[z] for z in chosen])
        others = np.setdiff1d(np.concatenate(members), seen)
        for k in score.scores:
          for z in scored:
            value = np.mean(
              [fires[sign[u]][members[z], u].mean() for u in units[:k]]
            )
            base = np.mean(
              [fires[sign[u]][others, u].mean() for u in units[:k]]
            )
            of_sets[k][z].append((value, base))
    for k in score.scores:
      found[k].append(
        np.mean([np.mean(of_sets[k][z], axis=0) for z in rows], axis=0)
      )
  return {k: 100 * np.mean(values, axis=0) for k, values in found.items()}


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize("per_class", [2, 5, 6])
def test_it_equals_a_loop_over_images(variant, per_class):
  features = _images(1, per_class=per_class, effect=1.0, units=20)
  score = _score(features, sets_per_class=per_class, variant=variant)
  found = cross_fitted.cross_fitted(score, splits=3, seed=4)
  for k, (value, chance) in _slow(score, features, 3, 4).items():
    assert found.scores[k] == pytest.approx(value, rel=1e-5)
    assert found.chance[k] == pytest.approx(chance, rel=1e-5)


def test_random_features_score_their_firing_rate_and_the_score_itself_more():
  found = []
  for seed in range(20):
    score = _score(_images(seed), variant="formula")
    one = cross_fitted.cross_fitted(score)
    assert one.chance[5] == pytest.approx(100 * score.firing_fraction, abs=3)
    assert score.scores[5] > one.scores[5] + 5
    found.append(one.scores[5] - one.chance[5])
  error = np.std(found, ddof=1) / np.sqrt(len(found))
  assert abs(np.mean(found)) < 3 * error < 1.0


def test_units_that_know_the_class_keep_their_score():
  features = _images(units=20, effect=8.0)
  score = _score(features)
  found = cross_fitted.cross_fitted(score)
  assert found.scores[2] > 90
  assert found.scores[2] == pytest.approx(score.scores[2], abs=5)
  interval = found.intervals[2]
  assert interval.low <= found.scores[2] <= interval.high <= 100


def test_units_that_know_only_their_set_score_at_chance():
  # What a unit knows about one set of a class says nothing about another.
  rng = np.random.default_rng(0)
  features = np.repeat(rng.normal(size=[60, 80]), 8, axis=0)
  features += 0.01 * rng.normal(size=features.shape)
  score = _score(features, sets_per_class=12, variant="formula")
  found = cross_fitted.cross_fitted(score)
  low, high = found.intervals[5].low, found.intervals[5].high
  assert low - 2 < found.chance[5] < high + 2
  assert found.scores[5] < 0.7 * score.scores[5]


def test_the_interval_covers_the_average_of_other_sets():
  # The effects of the classes differ between seeds: fix them.
  effect = np.random.default_rng(99).normal(size=[5, 1, 1, 60])
  scores = []
  for seed in range(40):
    noise = _images(seed).reshape(5, 6, 8, 60) + 0.7 * effect
    scores.append(
      cross_fitted.cross_fitted(
        _score(noise.reshape(-1, 60).astype(np.float32), variant="formula")
      )
    )
  average = np.mean([one.scores[5] for one in scores])
  inside = [
    one.intervals[5].low <= average <= one.intervals[5].high for one in scores
  ]
  assert 30 <= sum(inside)


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
