"""Decoded factors compared to scikit-learn's regressions and to known cases."""

import math
import sys

import numpy as np
import pytest
from sklearn import linear_model, model_selection

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import decoding


def _turned(seed=0, *, sets=40, images=8, units=30):
  """Objects turned all around: identity [N, units], angles [N], sets [N]."""
  rng = np.random.default_rng(seed)
  of_set = np.repeat(np.arange(sets), images)
  identity = rng.normal(size=[sets, units])[of_set]
  start = rng.uniform(0, 2 * np.pi, size=sets)
  angles = start[of_set] + np.tile(np.arange(images), sets) * 2 * np.pi / images
  return identity, angles, of_set


def _circle(angles):
  return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _seen(seed=0, *, strength=1.0, noise=0.5, **options):
  """Features with identity and angle, mixed: what an encoder might give."""
  identity, angles, sets = _turned(seed, **options)
  rng = np.random.default_rng([seed, 1])
  mix = rng.normal(size=[2, identity.shape[1]])
  features = identity + strength * _circle(angles) @ mix
  features += noise * rng.normal(size=identity.shape)
  return features.astype(np.float32), _circle(angles), sets


def test_predictions_equal_those_of_nested_cross_validation():
  features, values, sets = _seen(noise=3.0)
  inputs = (features - features.mean(axis=0)) / features.std(axis=0)
  inputs = inputs.astype(np.float64)
  folds = np.random.default_rng(0).permutation(40)[sets] % 5
  found = decoding._predictions(inputs, values[:, np.newaxis], folds)[:, 0]
  expected = np.empty_like(values)
  for test in range(5):
    train = folds != test
    inner = model_selection.PredefinedSplit(folds[train])
    wrong = []
    for cost in decoding.COSTS:
      total = 0
      for one, other in inner.split():
        part, rest = np.flatnonzero(train)[one], np.flatnonzero(train)[other]
        ridge = linear_model.Ridge(alpha=cost * len(part))
        ridge.fit(inputs[part], values[part])
        total += np.square(ridge.predict(inputs[rest]) - values[rest]).sum()
      wrong.append(total)
    cost = decoding.COSTS[int(np.argmin(wrong))]
    ridge = linear_model.Ridge(alpha=cost * np.count_nonzero(train))
    ridge.fit(inputs[train], values[train])
    expected[~train] = ridge.predict(inputs[~train])
  np.testing.assert_allclose(found, expected, atol=1e-9)


def test_an_encoder_that_keeps_the_angle_is_decoded():
  found = decoding.decode(*_seen())
  assert found.low < found.r2 < found.high
  assert found.r2 > 0.8 and found.permuted < 0.05
  assert found.num_sets == 40


def test_an_encoder_that_is_invariant_is_not_decoded():
  found = decoding.decode(*_seen(strength=0.0, noise=0.0))
  assert found.r2 < 0.05 and abs(found.r2 - found.permuted) < 0.05
  # Noise within the sets does not help.
  found = decoding.decode(*_seen(strength=0.0))
  assert found.r2 < 0.05


def test_an_object_that_names_its_angle_is_not_the_angle():
  # Each object is seen within a small range of its own: identity predicts it
  # for seen objects only.
  identity, _, sets = _turned()
  rng = np.random.default_rng(3)
  angles = rng.uniform(0, 2 * np.pi, size=40)[sets] + 0.1 * rng.normal(
    size=len(sets)
  )
  found = decoding.decode(identity, _circle(angles), sets)
  assert found.r2 < 0.1


def test_what_sets_tell_apart_is_in_the_permuted_share():
  # Position is known per set, not within it: nothing of the factor is seen.
  rng = np.random.default_rng(0)
  sets = np.repeat(np.arange(60), 6)
  level = rng.normal(size=60)[sets]
  values = (level + 0.1 * rng.normal(size=len(sets)))[:, np.newaxis]
  features = np.stack([level, rng.normal(size=len(sets))], axis=1)
  found = decoding.decode(features, values, sets)
  assert found.r2 > 0.9
  assert found.permuted == pytest.approx(found.r2, abs=0.02)


def test_the_share_is_what_the_noise_leaves():
  # One unit, y = x + noise: R^2 is var(x) / var(y).
  rng = np.random.default_rng(0)
  sets = np.repeat(np.arange(200), 10)
  unit = rng.normal(size=[2000, 1])
  values = unit + rng.normal(size=[2000, 1])
  found = decoding.decode(unit, values, sets)
  assert found.r2 == pytest.approx(0.5, abs=0.04)
  assert found.low < 0.5 < found.high


def test_intervals_cover_the_share_of_other_objects():
  # One unit as above; the share is known.
  rng = np.random.default_rng(1)
  inside = 0
  for _ in range(40):
    sets = np.repeat(np.arange(40), 5)
    unit = rng.normal(size=[200, 1])
    found = decoding.decode(
      unit, unit + rng.normal(size=[200, 1]), sets, resamples=200
    )
    inside += found.low <= 0.5 <= found.high
  assert inside >= 33  # Exact 95 % intervals would cover 38.


@pytest.mark.parametrize("sets", [20, 60])
def test_many_units_are_reduced_and_still_decoded(monkeypatch, sets):
  options = {"units": 300, "sets": sets, "noise": 0.3}
  whole = decoding.decode(*_seen(**options))
  monkeypatch.setattr(decoding, "MAX_COMPONENTS", 64)
  few = decoding.decode(*_seen(**options))
  assert few.r2 == pytest.approx(whole.r2, abs=0.1)


def test_of_large_data_some_sets_are_used(monkeypatch):
  monkeypatch.setattr(decoding, "MAX_IMAGES", 100)
  assert decoding.decode(*_seen()).num_sets == 12


def test_images_of_unknown_value_are_excluded():
  features, values, sets = _seen()
  expected = decoding.decode(features, values, sets)
  more = np.concatenate([features, np.full([3, 30], 50, np.float32)])
  unknown = np.concatenate([values, [[0, np.nan]] * 3])
  assert decoding.decode(more, unknown, np.append(sets, [1, 2, 99])) == expected


def test_permutations_stay_within_sets():
  sets = np.random.default_rng(0).permutation(np.repeat(np.arange(9), 4))
  order = decoding._within_sets(sets, np.random.default_rng(1))
  assert sorted(order) == list(range(36)) and (order != np.arange(36)).any()
  np.testing.assert_array_equal(sets[order], sets)


def test_constant_units_values_and_too_few_sets():
  features, values, sets = _seen()
  expected = decoding.decode(features, values, sets)
  constant = np.full([len(sets), 4], 0.1, np.float32)
  more = np.concatenate([features, constant], axis=1)
  assert decoding.decode(more, values, sets) == expected
  assert decoding.decode(constant, values, sets) is None
  assert decoding.decode(features, np.ones_like(values), sets) is None
  assert decoding.decode(features, np.full_like(values, np.nan), sets) is None
  assert decoding.decode(features[:16], values[:16], sets[:16]) is None


def test_arguments_that_do_not_fit_are_refused():
  features, values, sets = _seen()
  with pytest.raises(errors.UsageError, match=r"\(320, 30\), \(319, 2\)"):
    decoding.decode(features, values[1:], sets)


def _sets(factor, unit="", period=None, targets=None):
  count = len(factor)
  return invariance_sets.InvarianceSets(
    source="test",
    invariance="thing",
    images=records.ImageRecords(
      "", np.array([b"x"] * count), np.ones(count, np.int64)
    ),
    sets=np.zeros(count, np.int32),
    classes=np.zeros(count, np.int32),
    set_names=("a",),
    class_names=("a",),
    factor=np.array(factor, np.float64),
    factor_name="value",
    factor_unit=unit,
    factor_period=period,
    image_size=16,
    skipped={},
    targets=targets,
  )


def test_angles_are_decoded_as_sine_and_cosine_and_other_values_as_they_are():
  found = decoding.targets(_sets([0, 90, math.nan], "degrees"))
  np.testing.assert_allclose(found, [[0, 1], [1, 0], [math.nan] * 2], atol=1e-9)
  found = decoding.targets(_sets([3, math.nan], "eighths"))
  np.testing.assert_array_equal(found, [[3], [math.nan]])
  assert decoding.targets(_sets([math.nan] * 2)) is None
  own = np.array([[1.0, 2, 3]])
  assert decoding.targets(_sets([1], "degrees", targets=own)) is own


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
