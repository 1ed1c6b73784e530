"""The chance level of a score."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import chance, firing, score

_SCORE = score.representation_invariance_score


def test_features_that_ignore_sets_score_at_chance():
  rng = np.random.default_rng(7)
  sets = np.repeat(np.arange(60), 8)
  for variant in firing.VARIANTS:
    options = {"variant": variant, "top_k": (3,)}
    noise = [
      _SCORE(rng.normal(size=(480, 20)), sets, sets % 6, **options).scores[3]
      for _ in range(20)
    ]
    found = chance.chance_score(
      rng.normal(size=(480, 20)), sets, sets % 6, permutations=20, **options
    )
    error = np.hypot(np.std(noise), found.deviations[3]) / np.sqrt(20)
    assert abs(found.scores[3] - np.mean(noise)) < 4 * error
    assert 0 < found.deviations[3] < 5


def test_chance_ignores_the_sets_and_depends_on_its_seed():
  rng = np.random.default_rng(8)
  sets = np.repeat(np.arange(60), 10)
  features = rng.normal(size=(60, 12))[sets].astype(np.float32)
  given = (features, sets, sets % 6)

  first = chance.chance_score(*given, top_k=(5,), seed=3)

  assert first.scores[5] < 0.6 * _SCORE(*given, top_k=(5,)).scores[5]
  assert first == chance.chance_score(*given, top_k=(5,), seed=3)
  assert first != chance.chance_score(*given, top_k=(5,), seed=4)
  one = chance.chance_score(*given, top_k=(5,), permutations=1)
  assert one.deviations == {5: 0.0}
  with pytest.raises(errors.UsageError, match="permutations is 0"):
    chance.chance_score(features, sets, permutations=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
