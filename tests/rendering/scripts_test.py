import sys

import numpy as np
import pytest

from tf_ssl.rendering import scripts


def test_a_swing_starts_at_its_phase_and_repeats_after_a_period():
  swing = scripts.Swing(
    np.array([1.0, 0.0]),
    np.array([2.0, 3.0]),
    np.array([1, 2]),
    np.array([0.25, 0.0]),
  )
  np.testing.assert_allclose(swing.at(0.0), [3, 0], atol=1e-12)
  quarter = scripts.PERIOD / 4
  np.testing.assert_allclose(swing.at(quarter), [1, 0], atol=1e-12)
  np.testing.assert_allclose(
    swing.at(np.array([0.7, 0.7 + scripts.PERIOD]))[0],
    swing.at(0.7 + scripts.PERIOD),
  )


@pytest.mark.parametrize("seed", range(5))
def test_objects_on_their_paths_never_collide(seed):
  rng = np.random.default_rng(seed)
  sizes = rng.uniform(0.3, 1.0, size=6)
  paths = scripts.paths_apart(rng, sizes, spread=2.0)
  places = [path.at(np.linspace(0, scripts.PERIOD, 1111)) for path in paths]
  for second in range(6):
    for first in range(second):
      apart = np.linalg.norm(places[first] - places[second], axis=-1).min()
      assert apart > sizes[first] + sizes[second]
  assert all(np.ptp(place, axis=0).max() > 0.1 for place in places)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
