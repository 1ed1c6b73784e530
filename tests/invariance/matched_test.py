"""Matched scores compared to subsets that are drawn or enumerated."""

import itertools
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import chance, firing, intervals, matched
from tf_ssl.invariance import score as score_lib


def _images(units=12, *, seed=0, noise=1.0):
  """4 classes of 5 sets of 6 images."""
  rng = np.random.default_rng(seed)
  features = rng.normal(size=(20, 1, units))
  features = features + noise * rng.normal(size=(20, 6, units))
  sets = np.repeat(np.arange(20), 6)
  return features.reshape(-1, units).astype(np.float32), sets, sets // 5


def _score(units=12, *, top_k=(2, 3), variant="code", **options):
  return score_lib.representation_invariance_score(
    *_images(units, **options), top_k=top_k, variant=variant
  )


@pytest.mark.parametrize("variant", firing.VARIANTS)
def test_the_matched_score_is_the_mean_over_all_subsets(variant):
  features, sets, classes = _images(8)
  whole = _score(8, variant=variant)
  expected = {2: [], 3: []}
  for subset in itertools.combinations(range(8), 5):
    part = score_lib.representation_invariance_score(
      features[:, subset], sets, classes, top_k=(2, 3), variant=variant
    )
    for k, value in part.scores.items():
      expected[k].append(value)
  found = matched.at(whole, 5)
  for k, values in expected.items():
    assert len(values) == 56
    assert found.scores[k] == pytest.approx(np.mean(values), rel=1e-6)
    assert found.class_scores[k].mean() == pytest.approx(found.scores[k])


def test_the_mean_of_fifty_random_subsets_is_close_to_it():
  whole = _score(200, top_k=(10,))
  rng = np.random.default_rng(1)
  drawn = []
  for _ in range(50):
    some = whole.unit_invariance[:, rng.permutation(200)[:60]]
    drawn.append(np.sort(some, axis=1)[:, -10:].mean())
  found = matched.at(whole, 60).scores[10]
  error = np.std(drawn, ddof=1) / np.sqrt(50)
  assert found == pytest.approx(np.mean(drawn), abs=4 * error)
  assert found < whole.scores[10] - 10 * error


def test_all_units_are_the_score_itself():
  whole = _score()
  assert matched.at(whole, 12) is whole


def test_the_best_of_one_unit_is_the_mean_unit():
  whole = _score(top_k=(1,))
  assert matched.at(whole, 1).scores[1] == pytest.approx(
    whole.unit_invariance.mean(), rel=1e-6
  )


@pytest.mark.parametrize(
  ("width", "num_units", "k"), [(9, 4, 2), (300, 90, 25)]
)
def test_the_weights_are_shares_of_random_subsets(width, num_units, k):
  found = matched.weights(width, num_units, k)
  assert found.sum() == pytest.approx(1, abs=1e-12)
  assert (np.diff(found[:-1]) <= 1e-12).all()
  rng = np.random.default_rng(0)
  drawn = np.zeros(width)
  for _ in range(4000):
    subset = np.sort(rng.permutation(width)[:num_units])
    drawn[subset[:k]] += 1 / (4000 * k)
  np.testing.assert_allclose(found, drawn[: len(found)], atol=0.05 / k)


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize("units", [30, 400])
def test_resampled_matched_scores_equal_those_of_sorted_units(variant, units):
  whole = _score(units, variant=variant)
  compared = matched.at(whole, 20)
  found = intervals.replicates(compared, resamples=4, seed=3)
  for row in range(4):
    means = []
    for c in range(4):
      rows = np.flatnonzero(whole.sets.set_classes == c)
      drawn = np.random.default_rng([3, c]).multinomial(5, [0.2] * 5, size=4)
      sets = np.repeat(rows, drawn[row])
      shares = np.stack(
        [whole.firing.above[0, sets], whole.firing.below[0, sets]]
      )
      shares = shares / 6
      if variant == "code":
        shares = shares.max(axis=0)
        number = np.count_nonzero(shares, axis=0)
        local = shares.sum(axis=0) / np.maximum(number, 1)
      else:
        local = shares.mean(axis=1).max(axis=0)
      percent = 100 * whole.firing_fraction * local / whole.rates
      ranks = matched.weights(units, 20, 3)
      means.append(np.sort(percent)[::-1][: len(ranks)] @ ranks)
    assert found[3][row] == pytest.approx(np.mean(means), rel=1e-5)


def test_a_wider_copy_of_a_model_is_equal_when_matched_and_not_before():
  # Units of one distribution: only their number differs.
  narrow, wide = _score(40, top_k=(5,)), _score(400, top_k=(5,), seed=1)
  before = intervals.differences(wide, narrow)[5]
  assert before.low > 5
  after = intervals.differences(matched.at(wide, 40), narrow)[5]
  assert after.low < 0 < after.high


def test_the_chance_level_is_matched_too():
  features, sets, classes = _images(100)
  found = chance.chance_score(
    features, sets, classes, top_k=(5,), subset_units=20
  )
  assert found.matched[5] < found.scores[5]
  same = chance.chance_score(features, sets, classes, top_k=(5,))
  assert same.matched == same.scores == found.scores


def test_a_class_without_sets_counts_as_in_the_score():
  features, sets, classes = _images()
  kept = (classes < 3) | (np.arange(len(sets)) % 6 < 2)
  for variant in firing.VARIANTS:
    whole = score_lib.representation_invariance_score(
      features[kept], sets[kept], classes[kept], top_k=(3,), variant=variant
    )
    found = matched.at(whole, 6)
    measured = found.class_scores[3][:3].sum()
    assert found.class_scores[3][3] == 0
    assert found.scores[3] == pytest.approx(
      measured / (4 if variant == "code" else 3)
    )


@pytest.mark.parametrize("num_units", [2, 13])
def test_subsets_that_cannot_be_drawn_are_refused(num_units):
  with pytest.raises(errors.UsageError, match=f"is {num_units}; expected 3"):
    matched.at(_score(), num_units)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
