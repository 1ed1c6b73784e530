import sys

import numpy as np
import pytest

from tf_ssl.rendering import camera, scene, shading, solids, texture

_SIZE = 64
_BEHIND = np.full((_SIZE, _SIZE, 3), 0.5, np.float32)
_LIGHT = shading.Light(camera.direction(0, 50), np.ones(3))
_BALL = solids.join([solids.ellipsoid((0, 0, 0), 1.0)])


def _surface(red, green, blue):
  color = np.float32([red, green, blue])
  return (
    texture.Surface(
      "plain", np.stack([color] * 2), np.eye(3), np.zeros(3), 0.0, 10.0
    ),
  )


def _ball(x, y, z, radius, color=(1, 0, 0)):
  # The bounding sphere contains the ball's box, hence the factor.
  return scene.PosedObject(
    _BALL,
    _surface(*color),
    np.array([x, y, z], float),
    np.eye(3),
    radius * np.sqrt(3),
  )


def _draw(*objects, eye=None):
  eye = eye or camera.orbit(0)
  return scene.draw(scene.Scene(objects, _LIGHT, eye), _BEHIND)


def _disc(x, y, radius):
  """Pixels whose centers see a ball; x, y, radius by similar triangles."""
  steps = (np.arange(_SIZE) + 0.5) / _SIZE - 0.5
  return np.hypot(steps - x, steps[:, None] - y) < radius


def test_a_balls_mask_is_the_projected_disc():
  # Distance 5, focal length 2; a ball seen from 5 has a silhouette of
  # 1 / sqrt(5^2 - 1) in tangents.
  mask = _draw(_ball(0, 0, 0, 1)).masks[0]
  expected = _disc(0, 0, 2 / np.sqrt(24))
  differs = (mask != expected).sum()
  # Soft edges count from half a pixel outside.
  assert differs < 0.12 * expected.sum()
  assert not (expected & ~mask).any()


def test_the_nearer_object_hides_the_farther_in_any_order():
  near, far = _ball(0, 0, 1, 0.5, (0, 1, 0)), _ball(0.3, 0, -1, 0.9)
  first, second = _draw(near, far), _draw(far, near)
  np.testing.assert_array_equal(first.image, second.image)
  np.testing.assert_array_equal(first.masks, second.masks[::-1])
  both = first.masks[0] & first.masks[1]
  assert both.sum() > 50
  assert (first.front[both] == 0).all() and (second.front[both] == 1).all()
  red, green, _ = first.image[32, 32]
  assert green > red


def test_masks_include_hidden_pixels():
  near, far = _ball(0, 0, 1, 0.5), _ball(0.3, 0, -1, 0.9)
  together = _draw(near, far)
  np.testing.assert_array_equal(together.masks[1], _draw(far).masks[0])
  assert (together.front == 1).sum() < together.masks[1].sum()
  none = ~together.masks.any(axis=0)
  assert (together.front[none] == -1).all()


def test_an_empty_scene_shows_its_background():
  picture = _draw()
  np.testing.assert_array_equal(picture.image, _BEHIND)
  assert picture.masks.shape == (0, _SIZE, _SIZE)


def test_an_object_outside_the_image_changes_nothing():
  for x, z in ((9.0, 0.0), (0.0, 9.0)):  # Beside the camera; behind it.
    picture = _draw(_ball(x, 0, z, 1))
    np.testing.assert_array_equal(picture.image, _BEHIND)
    assert not picture.masks.any()


def test_turning_the_camera_equals_turning_the_object_the_other_way():
  box = solids.join([solids.box((0, 0, 0), (1, 0.4, 0.2))])
  turn = np.radians(-40)
  cos, sin = np.cos(turn), np.sin(turn)
  rotation = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
  posed = scene.PosedObject(box, _surface(1, 0, 0), np.zeros(3), np.eye(3), 1.0)
  by_camera = _draw(posed, eye=camera.orbit(20, azimuth=40))
  by_object = _draw(
    posed._replace(rotation=rotation), eye=camera.orbit(20, azimuth=0)
  )
  differs = (by_camera.masks != by_object.masks).sum()
  assert differs <= 2 and by_object.masks.sum() > 300


def test_the_lit_side_is_brighter():
  eye = camera.orbit(0)
  light = shading.Light(camera.direction(90, 10), np.ones(3))
  image = scene.draw(
    scene.Scene([_ball(0, 0, 0, 1, (0.5, 0.5, 0.5))], light, eye), _BEHIND
  ).image
  assert image[32, 48, 0] > 1.3 * image[32, 16, 0]


def test_at_inverts_the_projection():
  eye = camera.look_at((1.0, 2.0, 6.0), (0.5, 0.0, 0.0))
  point = eye.at(0.7, 0.4, 5.0)
  picture = _draw(_ball(*point, 0.2), eye=eye)
  rows, columns = np.nonzero(picture.masks[0])
  assert columns.mean() + 0.5 == pytest.approx(0.7 * _SIZE, abs=0.6)
  assert rows.mean() + 0.5 == pytest.approx(0.4 * _SIZE, abs=0.6)


def test_a_wider_picture_adds_to_both_sides_only():
  objects = _ball(0, 0, 1, 0.5, (0, 1, 0)), _ball(1.2, 0, -1, 0.9)
  seen = scene.Scene(objects, _LIGHT, camera.orbit(10))
  narrow = scene.draw(seen, _BEHIND)
  wide = scene.draw(seen, np.full((_SIZE, 2 * _SIZE, 3), 0.5, np.float32))
  middle = slice(_SIZE // 2, _SIZE // 2 + _SIZE)
  assert (wide.front[:, middle] != narrow.front).sum() <= 2
  assert wide.masks.shape == (2, _SIZE, 2 * _SIZE)
  assert wide.masks[1].sum() > 1.2 * narrow.masks[1].sum()


def test_the_whole_size_includes_hidden_pixels_and_pixels_off_the_image():
  near, far = _ball(0, 0, 1, 0.5), _ball(1.2, 0, -1, 0.9)
  seen = scene.Scene([near, far], _LIGHT, camera.orbit(0))
  masks = scene.draw(seen, _BEHIND).masks
  assert masks[1][:, -1].any()
  size = (_SIZE, _SIZE)
  assert scene.whole_size(seen, 0, size, 8) == masks[0].sum()
  everywhere = scene.draw(seen, np.zeros((_SIZE, 3 * _SIZE, 3), np.float32))
  whole = scene.whole_size(seen, 1, size, _SIZE)
  assert whole == pytest.approx(everywhere.masks[1].sum(), abs=2)
  assert whole > 1.1 * masks[1].sum()


def test_a_bounding_box_is_tight():
  mask = np.zeros([6, 8], bool)
  mask[2, 3] = mask[4, 6] = True
  assert scene.bounding_box(mask) == (3, 2, 7, 5)
  assert scene.bounding_box(~mask) == (0, 0, 8, 6)
  assert scene.bounding_box(mask & False) == (0, 0, 0, 0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
