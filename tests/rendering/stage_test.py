import sys

import numpy as np
import pytest

from tf_ssl.rendering import camera, scene, solids, stage

_LIGHT = np.array([0.0, 1.0, 0.0])
_SIZE = (40, 60)


def _plain(floor=0.8, wall=0.4):
  return stage.Stage(
    *(np.full((32, 32, 3), value, np.float32) for value in (floor, wall))
  )


def _built(seed):
  rng = np.random.default_rng(seed)
  return stage.build((1, rng), (4, rng), 64)


def _paint(built, eye, objects=()):
  return stage.paint(built, eye, _SIZE, light=_LIGHT, objects=objects)


def test_the_floor_ends_at_the_projected_wall():
  # From height 2 at z = 5 the wall's foot, 15 away, is 2 / 15 below the
  # horizon in tangents; times the focal length, in image heights.
  eye = camera.look_at((0, 2, 5), (0, 2, 0), focal=2.0)
  column = _paint(_plain(), eye)[:, 30, 0]
  expected = _SIZE[0] * (0.5 + 2 * 2 / 15)
  assert np.argmax(column > 0.4) == pytest.approx(expected, abs=1)
  assert column[0] == pytest.approx(column[10], abs=1e-6)


def test_a_full_orbit_shows_the_first_picture_again():
  eye = camera.orbit(20, azimuth=30)
  again = camera.orbit(20, azimuth=390)
  np.testing.assert_array_equal(
    _paint(_built(0), eye), _paint(_built(0), again)
  )


def test_the_picture_shifts_with_the_camera():
  built = _built(1)
  here = _paint(built, camera.look_at((0, 3, 6), (0, 0, 0)))
  beside = _paint(built, camera.look_at((1, 3, 6), (1, 0, 0)))
  assert np.abs(here - beside).mean() > 0.01


def test_the_wall_has_no_seam():
  # The angle jumps at azimuth 180.
  eye = camera.look_at((0, 3, 5), (0, 3, 0), focal=1.0)
  rows = _paint(_built(2), eye)[:10]
  steps = np.abs(np.diff(rows, axis=1)).mean(axis=(0, 2))
  assert steps[29] <= steps.max() and steps[29] < 3 * steps.mean() + 0.02


def test_an_object_casts_a_shadow_below_it_only():
  ball = solids.join([solids.ellipsoid((0, 0, 0), 1.0)])
  posed = scene.PosedObject(ball, (), np.array([0, 1.0, 0]), np.eye(3), 1.0)
  eye = camera.look_at((0, 8, 4), (0, 0, 0))
  bare, shaded = _paint(_plain(), eye), _paint(_plain(), eye, [posed])
  assert shaded[20, 30, 0] < 0.5 * bare[20, 30, 0]
  np.testing.assert_array_equal(shaded[:3], bare[:3])


def test_rooms_are_not_used_on_floor_or_wall():
  kind = stage.background.KINDS.index("room")
  rooms, others = (
    stage.build(
      (number, np.random.default_rng(3)), (number, np.random.default_rng(4)), 32
    )
    for number in (kind, kind - 1)
  )
  np.testing.assert_array_equal(rooms.floor, others.floor)
  np.testing.assert_array_equal(rooms.wall, others.wall)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
