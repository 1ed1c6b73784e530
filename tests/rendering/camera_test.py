"""Directions, camera axes and rays against closed forms."""

import sys

import numpy as np
import pytest

from tf_ssl.rendering import camera


@pytest.mark.parametrize(
  ("azimuth", "elevation", "expected"),
  [
    (0, 0, (0, 0, 1)),
    (90, 0, (1, 0, 0)),
    (450, 0, (1, 0, 0)),
    (-90, 0, (-1, 0, 0)),
    (30, 90, (0, 1, 0)),
    (0, -45, (0, -np.sqrt(0.5), np.sqrt(0.5))),
  ],
)
def test_directions_follow_azimuth_and_elevation(azimuth, elevation, expected):
  found = camera.direction(azimuth, elevation)
  np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_turn_maps_the_front_to_its_azimuth_and_turns_add_up():
  for azimuth in (0, 35, 200):
    np.testing.assert_allclose(
      camera.turn(azimuth) @ (0, 0, 1), camera.direction(azimuth, 0), atol=1e-12
    )
    np.testing.assert_allclose(
      camera.turn(azimuth) @ camera.turn(50),
      camera.turn(azimuth + 50),
      atol=1e-12,
    )
  np.testing.assert_allclose(camera.turn(77) @ (0, 1, 0), (0, 1, 0))


@pytest.mark.parametrize("target", [(0, 0, 0), (3, -1, 2), (1.0, 6.5, 3.9)])
def test_a_camera_is_upright_and_faces_its_target(target):
  position = np.array([1.0, 2.0, 4.0])
  found = camera.look_at(position, target)
  right, up, forward = found.axes
  np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(3), atol=1e-12)
  np.testing.assert_allclose(np.cross(right, up), -forward, atol=1e-12)
  assert right[1] == pytest.approx(0) and up[1] > 0
  distance = np.linalg.norm(target - position)
  np.testing.assert_allclose(position + distance * forward, target)
  np.testing.assert_allclose(found.at(0.5, 0.5, distance), target)


def test_an_orbit_keeps_its_distance_and_faces_the_origin():
  found = camera.orbit(30, azimuth=90, distance=2.0, focal=1.5)
  np.testing.assert_allclose(found.position, (np.sqrt(3), 1, 0), atol=1e-12)
  np.testing.assert_allclose(found.axes[2], -found.position / 2, atol=1e-12)
  assert found.focal == 1.5


def test_a_point_moves_by_the_intercept_theorem():
  found = camera.orbit(0, distance=5.0, focal=2.0)  # At (0, 0, 5), facing -z.
  np.testing.assert_allclose(found.at(1.0, 0.5, 4.0), (1, 0, 1), atol=1e-12)
  np.testing.assert_allclose(found.at(0.5, 0.0, 4.0), (0, 1, 1), atol=1e-12)


def test_each_ray_passes_through_the_center_of_its_pixel():
  eye, size = camera.look_at((1, 2, 5), (0, 1, 0)), 6
  directions = camera.rays((size, size), eye.focal).directions
  for row in range(size):
    for column in range(size):
      point = eye.at((column + 0.5) / size, (row + 0.5) / size, 3.0)
      expected = eye.axes @ (point - eye.position)
      np.testing.assert_allclose(
        directions[:, row * size + column],
        expected / np.linalg.norm(expected),
        atol=1e-6,
      )


def test_a_margin_adds_rays_around_those_of_the_image():
  inner = camera.rays((6, 9), 2.0).directions.reshape(3, 6, 9)
  outer = camera.rays((6, 9), 2.0, 2).directions.reshape(3, 10, 13)
  np.testing.assert_array_equal(outer[:, 2:-2, 2:-2], inner)


@pytest.mark.parametrize("margin", [0, 7])
@pytest.mark.parametrize("image_size", [(16, 16), (33, 33), (62, 49), (30, 51)])
def test_each_ray_is_inside_its_cone(image_size, margin):
  rays = camera.rays(image_size, 2.0, margin)
  cosine = np.sum(rays.directions * rays.cones[:, rays.cone], axis=0)
  angle = np.arccos(np.minimum(cosine, 1))
  assert angle.max() + rays.pixel < rays.spread


def test_turned_rays_keep_their_cones_and_leave_the_shared_rays_alone():
  rays = camera.rays((8, 8), 2.0)
  before = rays.directions.copy()
  rotation = camera.turn(40)
  turned = rays.turned(rotation)
  np.testing.assert_allclose(
    turned.directions, rotation @ before.astype(float), atol=1e-6
  )
  cosine = np.sum(rays.directions * rays.cones[:, rays.cone], axis=0)
  np.testing.assert_allclose(
    np.sum(turned.directions * turned.cones[:, turned.cone], axis=0),
    cosine,
    atol=1e-6,
  )
  np.testing.assert_array_equal(rays.directions, before)
  with pytest.raises(ValueError, match="read-only"):
    rays.directions[0, 0] = 2.0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
