"""Drawn surfaces, and patterns against scalar formulas."""

import colorsys
import math
import sys

import numpy as np
import pytest

from tf_ssl.rendering import texture


def _step(wave):
  return min(max(0.5 + 3 * wave, 0), 1)


_SHARES = {
  "plain": lambda a, b, c: 0.0,
  "stripes": lambda a, b, c: _step(math.sin(a)),
  "checker": lambda a, b, c: _step(
    3 * math.sin(0.7 * a) * math.sin(0.7 * b) * math.sin(0.7 * c)
  ),
  "spots": lambda a, b, c: _step(math.sin(a) + math.sin(b) + math.sin(c) - 1.1),
  "marble": lambda a, b, c: (
    0.5 + 0.5 * math.sin(a + 1.6 * math.sin(0.7 * b) + 1.2 * math.sin(1.3 * c))
  ),
  "gradient": lambda a, b, c: 0.5 + 0.5 * math.sin(a),
}


def _drawn(count=300):
  rng = np.random.default_rng(0)
  return [one for _ in range(count) for one in texture.random_surfaces(rng)]


@pytest.mark.parametrize("pattern", list(_SHARES))
def test_a_pattern_mixes_its_two_colors_by_the_sines_of_three_waves(pattern):
  rng = np.random.default_rng(0)
  surface = texture.Surface(
    pattern,
    rng.uniform(size=[2, 3]),
    rng.normal(size=[3, 3]) * 5,
    rng.uniform(0, 6, size=3),
    0.0,
    10.0,
  )
  points = rng.uniform(-1, 1, size=[3, 60])
  found = texture.albedo(surface, points)
  first, second = surface.colors
  shares = set()
  for point, color in zip(points.T, found.T, strict=True):
    angles = [
      sum(w * p for w, p in zip(wave, point, strict=True)) + phase
      for wave, phase in zip(surface.waves, surface.phases, strict=True)
    ]
    share = _SHARES[pattern](*angles)
    np.testing.assert_allclose(color, first + share * (second - first))
    shares.add(round(share, 6))
  assert (len(shares) == 1) == (pattern == "plain")


def test_one_color_in_six_is_nearly_gray():
  rng = np.random.default_rng(0)
  colors = np.stack([texture.random_color(rng) for _ in range(3000)])
  assert colors.min() >= 0 and colors.max() <= 1
  saturations = np.array([colorsys.rgb_to_hsv(*color)[1] for color in colors])
  gray = saturations < 0.12 + 1e-6
  # Three standard deviations of a binomial distribution.
  assert abs(gray.mean() - 1 / 6) < 3 * math.sqrt(5 / 36 / 3000)
  assert saturations[~gray].min() > 0.3 - 1e-6


def test_the_waves_of_a_surface_are_orthogonal_and_of_one_frequency():
  for surface in _drawn():
    squared = surface.waves.astype(float) @ surface.waves.T
    frequency = math.sqrt(squared[0, 0])
    np.testing.assert_allclose(
      squared, frequency**2 * np.eye(3), atol=1e-4 * frequency**2
    )
    low, high = (1.2, 2.5) if surface.pattern == "gradient" else (5, 13)
    assert low - 1e-3 <= frequency <= high + 1e-3


def test_directions_of_waves_are_uniform():
  waves = np.stack([surface.waves[0] for surface in _drawn(700)])
  units = waves / np.linalg.norm(waves, axis=1, keepdims=True)
  # Mean 0 and covariance 1/3; three standard deviations of their estimates.
  assert np.abs(units.mean(axis=0)).max() < 3 / math.sqrt(3 * len(units))
  np.testing.assert_allclose(
    units.T @ units / len(units), np.eye(3) / 3, atol=3 * 0.3 / 45.8
  )


def test_surfaces_are_varied_in_range_and_decided_by_the_generator():
  drawn = _drawn()
  assert {surface.pattern for surface in drawn} == set(_SHARES)
  shines = np.array([surface.shine for surface in drawn])
  assert 0.4 < (shines == 0).mean() < 0.6
  assert 0.2 <= shines[shines > 0].min() and shines.max() <= 0.7
  for one, again in zip(drawn, _drawn(), strict=True):
    assert one.pattern == again.pattern and one.shine == again.shine
    np.testing.assert_array_equal(one.colors, again.colors)
    np.testing.assert_array_equal(one.waves, again.waves)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
