"""The share of the background compared to a loop and to known encoders."""

import sys

import numpy as np
import pytest

from tf_ssl.invariance import background, firing
from tf_ssl.invariance import score as score_lib

_SETS, _IMAGES, _BACKGROUNDS, _UNITS = 40, 8, 30, 50


def _scene(seed=0, *, changing):
  """Sets, classes, and the number of the background of each image."""
  rng = np.random.default_rng(seed)
  sets = np.repeat(np.arange(_SETS), _IMAGES)
  behind = rng.integers(_BACKGROUNDS, size=_SETS)[sets]
  if changing:
    behind = rng.integers(_BACKGROUNDS, size=len(sets))
  return sets, sets % 5, behind


def _score(features, sets, classes, **options):
  return score_lib.representation_invariance_score(
    features, sets, classes, top_k=(3, 6), **options
  )


def _encoders(sets, behind, seed=1):
  """Features of images and of backgrounds alone, by what the encoder sees."""
  rng = np.random.default_rng(seed)
  of_background = rng.normal(size=[_BACKGROUNDS, _UNITS])
  of_object = rng.normal(size=[_SETS, _UNITS])[sets]
  nothing = 0.01 * rng.normal(size=[_BACKGROUNDS, _UNITS])
  noise = 0.01 * rng.normal(size=of_object.shape)
  return {
    "background": (of_background[behind] + noise, of_background),
    "object": (of_object + noise, nothing),
    "both": (
      of_object + of_background[behind] + noise,
      of_background + nothing,
    ),
  }


def _slow(score, features, backgrounds, behind):
  """Image by image and unit by unit: {K: percent}."""
  high, low = score.thresholds
  found = {k: [[], []] for k in score.scores}
  for c in range(len(score.sets.classes)):
    values = []
    for unit in score.top_units[c]:
      by_set = []
      for z in np.flatnonzero(score.sets.set_classes == c):
        images = np.flatnonzero(score.sets.membership == z)
        counts = []
        for sign, threshold in ((1, high[unit]), (-1, -low[unit])):
          fires = [sign * features[i, unit] > threshold for i in images]
          alone = [
            sign * backgrounds[behind[i], unit] > threshold for i in images
          ]
          both = [a and b for a, b in zip(fires, alone, strict=True)]
          counts.append((np.mean(fires), np.mean(both)))
        by_set.append(counts)
      by_set = np.array(by_set)  # [s, sign, with and without]
      if score.variant == "code":
        best = [max(counts, key=lambda pair: pair[0]) for counts in by_set]
        best = [pair for pair in best if pair[0] > 0]
        values.append(np.mean(best, axis=0) / score.rates[unit])
      else:
        best = max(by_set.mean(axis=0), key=lambda pair: pair[0])
        values.append(best / score.rates[unit])
    for k, (whole, left) in found.items():
      whole.append(np.mean([value[0] for value in values[:k]]))
      left.append(np.mean([value[1] for value in values[:k]]))
  return {k: 100 * sum(left) / sum(whole) for k, (whole, left) in found.items()}


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize("changing", [True, False])
def test_the_share_equals_that_of_a_loop(variant, changing):
  sets, classes, behind = _scene(changing=changing)
  order = np.random.default_rng(9).permutation(len(sets))
  sets, classes, behind = sets[order], classes[order], behind[order]
  features, alone = _encoders(sets, behind)["both"]
  score = _score(features, sets, classes, variant=variant)
  found = background.share(score, features, alone, behind)
  shares = {k: interval.estimate for k, interval in found.items()}
  assert shares == pytest.approx(_slow(score, features, alone, behind))
  assert 5 < shares[3] < 95
  assert found[3].low < shares[3] < found[3].high


@pytest.mark.parametrize("variant", firing.VARIANTS)
def test_the_interval_is_as_wide_as_sets_differ(variant):
  shares, intervals = [], []
  for seed in range(40):
    sets, classes, behind = _scene(seed, changing=False)
    features, alone = _encoders(sets, behind, seed)["both"]
    score = _score(features, sets, classes, variant=variant)
    found = background.share(score, features, alone, behind, resamples=200)
    shares.append(found[6].estimate)
    intervals.append(found[6])
  width = np.mean([one.high - one.low for one in intervals])
  # Other backgrounds and objects are other units, too: a rough comparison.
  assert 1 < width / np.std(shares) < 12


def test_with_one_set_per_class_the_classes_are_resampled():
  sets, _, behind = _scene(changing=False)
  features, alone = _encoders(sets, behind)["both"]
  score = _score(features, sets, sets)
  found = background.share(score, features, alone, behind)
  assert found[3].low < found[3].estimate < found[3].high


def test_an_encoder_that_sees_only_the_background_is_found_out():
  sets, classes, behind = _scene(changing=False)
  features, alone = _encoders(sets, behind)["background"]
  score = _score(features, sets, classes)
  assert score.scores[3] > 90
  assert background.share(score, features, alone, behind)[3].low > 95
  # With a background that changes, it is not invariant in the first place.
  sets, classes, behind = _scene(changing=True)
  features, alone = _encoders(sets, behind)["background"]
  assert _score(features, sets, classes).scores[3] < 50


def test_an_encoder_that_sees_only_the_object_keeps_nothing():
  for changing in (False, True):
    sets, classes, behind = _scene(changing=changing)
    features, alone = _encoders(sets, behind)["object"]
    score = _score(features, sets, classes)
    assert score.scores[3] > 90
    found = background.share(score, features, alone, behind)[3]
    assert found.estimate == found.high == 0


def test_a_score_of_0_has_a_share_of_0():
  sets, classes, behind = _scene(changing=True)
  features, alone = _encoders(sets, behind)["object"]
  score = _score(features, sets, classes)
  silent = score._replace(
    firing=score.firing._replace(
      high=np.full(_UNITS, 99.0), low=np.full(_UNITS, -99.0)
    )
  )
  found = background.share(silent, features, alone, behind)
  assert [interval[:3] for interval in found.values()] == [(0, 0, 0)] * 2


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
