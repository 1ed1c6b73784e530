"""Light on a box against the formula of each term."""

import sys

import numpy as np
import pytest

from tf_ssl.rendering import shading, solids, texture

_UP = np.float32([0, 1, 0])
_SKY, _GROUND = 0.42, 0.16


def _surface(color, shine=0.0, sharpness=10.0):
  return texture.Surface(
    "plain",
    np.float32([color, color]),
    np.eye(3, dtype=np.float32),
    np.zeros(3, np.float32),
    shine,
    sharpness,
  )


_GRAY = _surface([0.3, 0.3, 0.3])
_BOX = solids.join([solids.box((0, 0, 0), (1, 0.2, 1))])
_TOP = (0.0, 0.2, 0.0)


def _shade(
  point, *, solid=_BOX, surfaces=(_GRAY,), light=_UP, eye=_UP, color=(1, 1, 1)
):
  """The color of one point, in linear light."""
  points = np.float32([point]).T
  found = shading.shade(
    solid,
    surfaces,
    points,
    solid.distance(*points),
    toward_eye=np.float32(eye)[:, None],
    toward_light=np.float32(light),
    toward_sky=_UP,
    light_color=np.float32(color),
    step=np.float32(1e-3),
  )
  assert found.shape == (3, 1)
  return found[:, 0] ** 2


@pytest.mark.parametrize("degrees", [0, 40, 70])
def test_a_face_reflects_sky_and_light_by_lamberts_cosine(degrees):
  angle = np.radians(degrees)
  light = np.array([np.sin(angle), np.cos(angle), 0])
  found = _shade(_TOP, light=light)
  np.testing.assert_allclose(found, 0.3 * (_SKY + np.cos(angle)), rtol=2e-3)


def test_a_face_away_from_the_light_has_the_ambient_light_of_its_side():
  np.testing.assert_allclose(_shade((0, -0.2, 0)), 0.3 * _GROUND, rtol=2e-3)
  np.testing.assert_allclose(
    _shade((1, 0, 0)), 0.3 * (_SKY + _GROUND) / 2, rtol=2e-3
  )


def test_the_colors_of_light_and_surface_multiply():
  surface = _surface([0.5, 0.2, 0.1])
  found = _shade(_TOP, surfaces=(surface,), color=(1, 0.5, 0))
  expected = np.array([0.5, 0.2, 0.1]) * (_SKY + np.array([1, 0.5, 0]))
  np.testing.assert_allclose(found, expected, rtol=2e-3)


@pytest.mark.parametrize("degrees", [0, 30])
def test_a_highlight_falls_off_with_the_power_of_its_sharpness(degrees):
  angle = np.radians(degrees)
  eye = np.array([np.sin(angle), np.cos(angle), 0])
  shiny = _surface([0.1] * 3, shine=0.4, sharpness=20.0)
  # The half vector is halfway between the eye and the light.
  expected = 0.1 * (_SKY + 1) + 0.4 * np.cos(angle / 2) ** 20
  np.testing.assert_allclose(
    _shade(_TOP, surfaces=(shiny,), eye=eye), expected, rtol=5e-3
  )


def test_an_occluder_takes_away_light_and_highlight_but_not_all_of_the_sky():
  shiny = _surface([0.3] * 3, shine=0.5)
  roof = solids.box((0, 1.0, 0), (0.5, 0.3, 0.5))
  solid = solids.join([solids.box((0, 0, 0), (1, 0.2, 1)), roof])
  found = _shade(_TOP, solid=solid, surfaces=(shiny,))
  np.testing.assert_allclose(found, 0.3 * _SKY, rtol=2e-3)
  # Far from the roof, the light of the open face.
  found = _shade((0.95, 0.2, 0), solid=solid, surfaces=(shiny,))
  assert (found > 0.3 * (_SKY + 0.9)).all()


def test_a_crevice_is_darker_than_an_open_face():
  walls = solids.box((0.1, 0.6, 0), (0.05, 0.4, 1), mirror="x")
  solid = solids.join([solids.box((0, 0, 0), (1, 0.2, 1)), walls])
  away = np.float32([0, -1, 0])  # No light, ambient only.
  assert _shade(_TOP, solid=solid, light=away)[0] < 0.8 * 0.3 * _SKY


def test_each_material_has_its_own_surface():
  solid = solids.join(
    [
      solids.box((-1, 0, 0), (0.5, 0.2, 1)),
      solids.box((1, 0, 0), (0.5, 0.2, 1), material=1),
    ]
  )
  surfaces = (_surface([0.4, 0, 0]), _surface([0, 0.4, 0]))
  left, right = [
    _shade((x, 0.2, 0), solid=solid, surfaces=surfaces) for x in (-1, 1)
  ]
  assert left[0] > 0.3 and left[1] == 0
  assert right[1] > 0.3 and right[0] == 0


def test_no_points_have_no_colors():
  none = np.zeros([3, 0], np.float32)
  found = shading.shade(
    _BOX,
    (_GRAY,),
    none,
    none[0],
    toward_eye=none,
    toward_light=_UP,
    toward_sky=_UP,
    light_color=np.ones(3),
    step=1e-3,
  )
  assert found.shape == (3, 0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
