"""Correlation and re-identification compared to loops and to known values."""

import sys

import numpy as np
import pytest

from tf_ssl.invariance import image_sets, whole


def _images(seed=0, *, sizes=(5,) * 30, units=20, share=0.5):
  """Units whose variance lies between sets to the given share, shuffled."""
  rng = np.random.default_rng(seed)
  sets = np.repeat(np.arange(len(sizes)), sizes)
  effect = rng.normal(size=[len(sizes), units])[sets]
  noise = rng.normal(size=[len(sets), units])
  features = np.sqrt(share) * effect + np.sqrt(1 - share) * noise
  order = rng.permutation(len(sets))
  return (3 + 2 * features[order]).astype(np.float32), sets[order]


def _whole(features, sets, **options):
  groups = image_sets.group(sets, None, len(sets))
  return whole.whole(features, groups, resamples=200, **options)


def _slow_correlations(features, sets):
  """Each unit's, from the definition, and the pooled one."""
  names = np.unique(sets)
  squares = []
  for values in features.T.astype(np.float64):
    values = (values - values.mean()) / values.std()
    parts = [values[sets == z] for z in names]
    between = sum(len(p) * np.mean(p) ** 2 for p in parts) / (len(names) - 1)
    within = sum(sum((x - np.mean(p)) ** 2 for x in p) for p in parts)
    squares.append((between, within / (len(values) - len(names))))
  sizes = [np.sum(sets == z) for z in names]
  size = (len(sets) - sum(n * n for n in sizes) / len(sets)) / (len(names) - 1)

  def correlation(between, within):
    effect = max(0, (between - within) / size)
    return effect / (effect + within)

  pooled = correlation(*np.sum(squares, axis=0))
  return [correlation(*pair) for pair in squares], pooled


@pytest.mark.parametrize("at_once", [2**20, 200])
def test_correlations_equal_their_definition(monkeypatch, at_once):
  monkeypatch.setattr(whole, "_VALUES_AT_ONCE", at_once)
  features, sets = _images(sizes=(3, 4, 9, 6, 3, 5, 8))
  by_unit, pooled = _slow_correlations(features, sets)
  found = _whole(features, sets)
  assert found.correlation == pytest.approx(pooled, rel=1e-5)
  assert found.median_correlation == pytest.approx(np.median(by_unit), rel=1e-5)


@pytest.mark.parametrize("at_once", [2**20, 200])
def test_neighbors_equal_those_of_a_loop(monkeypatch, at_once):
  monkeypatch.setattr(whole, "_VALUES_AT_ONCE", at_once)
  features, sets = _images(sizes=(3, 4, 9, 6, 3, 5, 8), share=0.2)
  values = (features - features.mean(axis=0)) / features.std(axis=0)
  hits, chance = [], []
  for i, one in enumerate(values):
    cosines = [
      -2
      if i == j
      else one @ other / np.linalg.norm(one) / np.linalg.norm(other)
      for j, other in enumerate(values)
    ]
    hits.append(sets[np.argmax(cosines)] == sets[i])
    chance.append((np.sum(sets == sets[i]) - 1) / (len(sets) - 1))
  found = _whole(features, sets)
  assert found.num_queries == len(sets)
  assert found.reidentified.estimate == pytest.approx(100 * np.mean(hits))
  assert found.chance == pytest.approx(100 * np.mean(chance))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_correlation_is_the_share_of_variance_between_sets(share):
  features, sets = _images(sizes=(8,) * 200, share=share)
  found = _whole(features, sets)
  assert found.correlation == pytest.approx(share, abs=0.03)
  assert found.median_correlation == pytest.approx(share, abs=0.05)
  assert found.correlation_low <= found.correlation <= found.correlation_high
  assert found.correlation_high - found.correlation_low < 0.1


def test_an_invariant_encoder_has_1_and_a_random_one_chance():
  features, sets = _images(share=1.0)
  found = _whole(features, sets)
  assert found.correlation == pytest.approx(1, abs=1e-5)
  assert found.reidentified.estimate == 100
  features, sets = _images(sizes=(6,) * 100, share=0.0)
  found = _whole(features, sets)
  assert found.correlation < 0.01
  assert found.reidentified.low < found.chance < found.reidentified.high


def test_intervals_cover_the_values_of_other_sets():
  inside = np.zeros(2)
  values = [_whole(*_images(seed, share=0.3)) for seed in range(60)]
  truth = np.mean([one.reidentified.estimate for one in values])
  for one in values:
    inside += (
      one.correlation_low <= 0.3 <= one.correlation_high,
      one.reidentified.low <= truth <= one.reidentified.high,
    )
  assert inside.min() >= 50  # Exact 95 % intervals would cover 57 of 60.


def test_constant_units_and_images_of_small_sets_change_nothing():
  features, sets = _images()
  expected = _whole(features, sets)
  constant = np.full([len(sets), 3], 0.1, np.float32)
  more = np.concatenate([features, constant], axis=1)
  assert _whole(more, sets) == expected
  more = np.concatenate([np.full([2, 20], 99, np.float32), features])
  found = _whole(more, np.concatenate([[77, 77], sets]))
  assert found.correlation == pytest.approx(expected.correlation, rel=1e-5)
  assert found.reidentified.estimate == expected.reidentified.estimate


def test_large_data_asks_for_some_images_only(monkeypatch):
  features, sets = _images(sizes=(5,) * 100, share=0.3)
  every = _whole(features, sets)
  monkeypatch.setattr(whole, "_MAX_PRODUCTS", 1)
  some = _whole(features, sets)
  assert (every.num_queries, some.num_queries) == (500, 300)
  assert some.correlation == every.correlation
  assert some.reidentified.estimate == pytest.approx(
    every.reidentified.estimate, abs=8
  )


def test_of_very_large_data_some_sets_are_compared(monkeypatch):
  features, sets = _images(sizes=(5,) * 300, share=0.3)
  every = _whole(features, sets)
  monkeypatch.setattr(whole, "_MAX_VALUES", 100 * 5 * 20)
  some = _whole(features, sets)
  assert (every.num_images, some.num_images) == (1500, 500)
  assert some.correlation == pytest.approx(every.correlation, abs=0.05)
  assert some.chance == pytest.approx(100 * 4 / 499)


def test_a_memory_map_gives_the_same_and_integers_are_read(tmp_path):
  features, sets = _images()
  np.save(tmp_path / "f.npy", features)
  mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
  assert _whole(mapped, sets) == _whole(features, sets)
  rounded = np.round(10 * features)
  assert _whole(rounded.astype(np.int64), sets) == _whole(rounded, sets)


def test_a_single_set_and_constant_features_have_none():
  features, sets = _images()
  assert _whole(features, np.zeros_like(sets)) is None
  assert _whole(np.ones_like(features), sets) is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
