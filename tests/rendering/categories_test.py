"""The recipes of the ten categories."""

import sys

import numpy as np
import pytest

from tf_ssl.rendering import categories

_ALL = pytest.mark.parametrize("category", range(len(categories.CATEGORIES)))


def _points(count):
  return np.float32(np.random.default_rng(0).uniform(-2, 2, (3, count)))


def test_category_numbers_follow_the_alphabet():
  assert list(categories.CATEGORIES) == sorted(set(categories.CATEGORIES))
  assert len(categories.CATEGORIES) == 10


@_ALL
def test_instances_of_a_category_differ_in_shape(category):
  radii = [
    categories.build(category, np.random.default_rng(seed)).radius
    for seed in range(20)
  ]
  assert len(set(radii)) == 20


@_ALL
def test_the_generator_alone_decides_the_shape(category):
  points = _points(500)
  one, again = [
    categories.build(category, np.random.default_rng(7)) for _ in range(2)
  ]
  np.testing.assert_array_equal(one.distance(*points), again.distance(*points))


@_ALL
def test_a_solid_is_inside_its_bounding_sphere(category):
  points = _points(20000)
  for seed in range(5):
    solid = categories.build(category, np.random.default_rng(seed))
    inside = points[:, solid.distance(*points) < 0].T
    assert len(inside) > 10
    assert np.linalg.norm(inside - solid.center, axis=1).max() < solid.radius
    assert (np.abs(inside - solid.center) <= np.array(solid.half) + 1e-5).all()


@_ALL
def test_every_material_has_a_surface(category):
  points = _points(20000)
  found = set()
  for seed in range(5):
    solid = categories.build(category, np.random.default_rng(seed))
    found.update(solid.material(*points[:, solid.distance(*points) < 0.05]))
  assert {0, 1} <= found <= {0, 1, 2}


@pytest.mark.parametrize("name", ["car", "chair", "plane", "table", "tower"])
def test_left_and_right_of_a_category_are_equal(name):
  x, y, z = _points(2000)
  for seed in range(3):
    solid = categories.build(
      categories.CATEGORIES.index(name), np.random.default_rng(seed)
    )
    np.testing.assert_allclose(
      solid.distance(-x, y, z), solid.distance(x, y, z), atol=1e-5
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
