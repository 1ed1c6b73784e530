"""Sphere tracing against exact and against dense intersections."""

import sys

import numpy as np
import pytest

from tf_ssl.rendering import camera, categories, ray_march, solids

_BALL = solids.join([solids.ellipsoid((0, 0, 0), 1.0)])
_SIZE = 48


def _rays(eye):
  """Rays of a camera in the axes of the world."""
  return camera.rays((_SIZE, _SIZE), eye.focal).turned(eye.axes.T)


def _march(solid, eye):
  rays = _rays(eye)
  pixel = rays.pixel * float(np.linalg.norm(eye.position))
  hits = ray_march.march(solid, np.float32(eye.position), rays, pixel)
  return hits, rays, pixel


def test_rays_meet_a_ball_where_the_quadratic_equation_says():
  eye = camera.orbit(20, azimuth=30)
  hits, rays, pixel = _march(_BALL, eye)
  # |o + t d| = 1 has the roots t = -b -+ sqrt(b^2 - c).
  b = eye.position @ rays.directions.astype(float)
  c = eye.position @ eye.position - 1
  missed = np.sqrt(np.maximum(c + 1 - b * b, 0)) - 1  # Nearest approach.
  inside = missed < -0.1  # At grazing rays, a small distance is a long way.
  assert set(np.flatnonzero(missed < 0)) <= set(hits.ray)
  assert (missed[hits.ray] < 1.25 * pixel).all()
  meets = inside[hits.ray]
  assert meets.sum() == inside.sum() > 200
  expected = (-b - np.sqrt(np.maximum(b * b - c, 0)))[hits.ray]
  assert np.abs(hits.depth - expected)[meets].max() < pixel
  assert (hits.coverage[meets] == 1).all()
  beside = missed[hits.ray] > 0.5 * pixel
  assert beside.any() and (hits.coverage[beside] < 1).all()
  assert (np.diff(hits.ray) > 0).all()


@pytest.mark.parametrize("name", ["chair", "mug", "plane"])
def test_rays_stop_at_the_first_surface_of_dense_samples(name):
  solid = categories.build(
    categories.CATEGORIES.index(name), np.random.default_rng(1)
  )
  eye = camera.orbit(25, azimuth=40, distance=6.0)
  hits, rays, pixel = _march(solid, eye)
  depth = np.arange(3.0, 9.0, 0.01, np.float32)
  first = {}
  for number, direction in enumerate(rays.directions.T):
    points = np.float32(eye.position)[:, None] + direction[:, None] * depth
    inside = np.flatnonzero(solid.distance(*points) < -0.01)
    if len(inside):
      first[number] = depth[inside[0]]
  assert len(first) > 100
  assert set(first) <= set(hits.ray)
  by_ray = dict(zip(hits.ray, hits.depth, strict=True))
  late = np.array([by_ray[ray] - expected for ray, expected in first.items()])
  assert late.max() < pixel
  # Rays stop a quarter of a pixel before it, grazing rays earlier.
  assert np.median(np.abs(late)) < pixel


def test_a_solid_outside_the_view_has_no_hits():
  for target in ((0, 0, 10), (20, 0, 5)):
    hits, _, _ = _march(_BALL, camera.look_at((0, 0, 5), target))
    assert all(len(column) == 0 for column in hits)


def test_normals_of_a_ball_point_away_from_its_center():
  points = np.random.default_rng(0).normal(size=(3, 50))
  points = np.float32(points / np.linalg.norm(points, axis=0))
  found = ray_march.normals(
    _BALL, *points, _BALL.distance(*points), np.float32(1e-3)
  )
  np.testing.assert_allclose(found, points, atol=5e-3)


def test_normals_of_a_box_are_its_axes():
  box = solids.join([solids.box((0, 0, 0), (0.5, 0.3, 0.7))])
  points = np.float32([[0.5, 0.1, 0.1], [0.1, -0.3, 0.2], [0.1, 0.1, 0.7]]).T
  found = ray_march.normals(
    box, *points, box.distance(*points), np.float32(1e-3)
  )
  np.testing.assert_allclose(
    found.T, [[1, 0, 0], [0, -1, 0], [0, 0, 1]], atol=1e-3
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
