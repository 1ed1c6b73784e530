"""Scores by strength compared to loops, chance and known features."""

import sys

import numpy as np
import pytest

from tf_ssl.invariance import strengths

HOW = {
  "top_k": (3, 5),
  "variant": "code",
  "firing_fraction": 0.05,
  "resamples": 100,
  "confidence": 0.95,
  "seed": 0,
}


def _features(shares, *, pictures=200, units=30, seed=0):
  """Pictures and versions that keep a share of their units' variance."""
  rng = np.random.default_rng(seed)
  own = rng.normal(size=[pictures, units])
  versions = [own] + [
    np.sqrt(share) * own + np.sqrt(1 - share) * rng.normal(size=own.shape)
    for share in shares
  ]
  features = np.stack(versions, axis=1).reshape([-1, units])
  count = len(versions)
  levels = np.tile(np.arange(count), pictures)
  order = rng.permutation(len(features))
  numbers = np.repeat(np.arange(pictures), count)
  return features[order].astype(np.float32), numbers[order], levels[order]


def _slow_score(features, pictures, levels, level, k, p=0.05):
  """METHODS' class-free form, unit by unit and picture by picture."""
  rows = [r for r in range(len(levels)) if levels[r] in (0, level)]
  place = int(len(rows) * (1 - p))
  scores = []
  for values in features.T:
    used = sorted(values[rows])
    high, low = used[place], used[::-1][place]
    rate = sum(v >= high for v in used) / len(used)
    shares = []
    for picture in set(pictures.tolist()):
      pair = [values[r] for r in rows if pictures[r] == picture]
      fired = max(sum(v > high for v in pair), sum(v < low for v in pair))
      if fired:
        shares.append(fired / len(pair))
    scores.append(100 * p * np.mean(shares) / rate)
  return np.mean(sorted(scores)[-k:])


def test_scores_equal_a_loop_over_units_and_pictures():
  features, pictures, levels = _features([0.8, 0.2], pictures=60)
  points = strengths.by_strength(features, pictures, levels, (1.0, 2.0), **HOW)
  for level, point in enumerate(points, 1):
    for k in (3, 5):
      assert point.scores[k] == pytest.approx(
        _slow_score(features, pictures, levels, level, k)
      )
    assert point.num_pictures == 60


def test_the_score_falls_from_100_to_chance():
  features, pictures, levels = _features([1.0, 0.7, 0.3, 0.0])
  points = strengths.by_strength(
    features, pictures, levels, (1.0, 2.0, 3.0, 4.0), **HOW
  )
  scores = [point.scores[5] for point in points]
  assert scores == sorted(scores, reverse=True)
  # Of 400 images, 20 are at the threshold or above it, and 19 fire.
  assert scores[0] > 94
  last = points[-1]
  interval = last.intervals[5]
  assert abs(last.scores[5] - last.chance[5]) < 4
  assert interval.low < last.chance[5] + 2 < interval.high + 4
  assert points[1].intervals[5].low > last.intervals[5].high


@pytest.mark.parametrize("num_images", [2, 3, 6])
def test_units_that_fire_at_random_reach_the_chance_level(num_images):
  rng = np.random.default_rng(0)
  fires = rng.random([200_000, num_images]) < 0.05
  shares = fires.mean(axis=1)
  assert strengths.if_random(0.05, num_images) == pytest.approx(
    shares[shares > 0].mean(), rel=0.01
  )


def test_the_chance_of_one_unit_is_that_of_a_set_in_which_it_fires():
  features, pictures, levels = _features([0.0], pictures=4000, units=1, seed=1)
  [point] = strengths.by_strength(
    features, pictures, levels, (1.0,), **HOW | {"top_k": (1,)}
  )
  expected = 100 * strengths.if_random(0.05, 2)  # 51.3
  assert point.chance[1] == pytest.approx(expected, abs=1)
  assert point.scores[1] == pytest.approx(expected, abs=1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
