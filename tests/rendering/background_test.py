import sys

import numpy as np
import pytest

from tf_ssl.rendering import background, texture


@pytest.mark.parametrize("kind", range(len(background.KINDS)))
def test_values_are_in_range(kind):
  for seed in range(5):
    picture = background.paint(kind, np.random.default_rng(seed), 33)
    assert picture.shape == (33, 33, 3) and picture.dtype == np.float32
    assert picture.min() >= 0 and picture.max() <= 1 and picture.std() > 0.001


@pytest.mark.parametrize("kind", range(len(background.KINDS)))
def test_size_decides_only_the_resolution(kind):
  fine = background.paint(kind, np.random.default_rng(3), 128)
  coarse = background.paint(kind, np.random.default_rng(3), 64)
  fine = fine.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
  assert np.abs(fine - coarse).mean() < 0.02


def test_kinds_repeat():
  first = background.paint(1, np.random.default_rng(0), 16)
  again = background.paint(
    1 + len(background.KINDS), np.random.default_rng(0), 16
  )
  other = background.paint(2, np.random.default_rng(0), 16)
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_every_pattern_mixes_its_two_colors():
  points = np.float32(np.random.default_rng(0).uniform(-1, 1, (3, 500)))
  seen = set()
  for seed in range(60):
    surface = texture.random_surfaces(np.random.default_rng(seed))[0]
    seen.add(surface.pattern)
    color = texture.albedo(surface, points)
    low, high = surface.colors.min(axis=0), surface.colors.max(axis=0)
    assert (color >= low[:, None] - 1e-6).all()
    assert (color <= high[:, None] + 1e-6).all()
    assert (np.ptp(color, axis=1).max() > 0.01) == (surface.pattern != "plain")
    np.testing.assert_allclose(
      surface.waves @ surface.waves.T / np.sum(surface.waves[0] ** 2),
      np.eye(3),
      atol=1e-5,
    )
  assert len(seen) == 6


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
