import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.rendering import factors


def test_factors_are_a_pure_function_of_seed_and_index():
  assert factors.random_factors(1, 7) == factors.random_factors(1, 7)
  assert factors.random_factors(1, 7) != factors.random_factors(2, 7)
  assert factors.random_factors(1, 7) != factors.random_factors(1, 17)


def test_drawn_factors_are_in_range_and_varied():
  drawn = [factors.random_factors(0, index) for index in range(300)]
  for one in drawn:
    factors.check(one)
  assert {one.category for one in drawn} == set(range(10))
  assert {one.cover for one in drawn} == {5, 6, 7, 8}
  assert np.std([one.azimuth for one in drawn]) > 90
  assert len({one.background % 7 for one in drawn}) == 7


def away(angle, center):
  return abs((angle - center + 180) % 360 - 180)


@pytest.mark.parametrize("variety, backgrounds", [(0.2, 14), (0.0, 1)])
def test_less_variety_keeps_the_objects_and_narrows_the_other_factors(
  variety, backgrounds
):
  for index in range(300):
    whole = factors.random_factors(0, index)
    one = factors.random_factors(0, index, variety=variety)
    factors.check(one)
    for name in ("category", "instance", "scale", "x", "y", "light_color"):
      assert getattr(one, name) == getattr(whole, name)
    assert away(one.azimuth, 30) <= 180 * variety + 1e-9
    assert away(one.light_azimuth, -40) <= 180 * variety + 1e-9
    assert abs(one.elevation - 20) <= 15 * variety + 1e-9
    assert one.cover >= 8 - 3 * variety - 0.5
    assert one.background < backgrounds


def test_full_variety_gives_the_world_of_renderer_version_1():
  # Change these together with RENDERER_VERSION, or caches become stale.
  one, other = (factors.random_factors(0, index) for index in (7, 11))
  drawn = (one.instance, one.cover, one.background, one.occluder)
  assert drawn == (5, 8, 68, 903791749)
  angles = (one.azimuth, one.elevation, one.light_azimuth)
  assert angles == (71.61135760889053, 25.069553431933972, 70.17951205527854)
  assert (other.instance, other.background) == (53, 27)
  assert other.azimuth == 229.7368756046695
  assert factors.random_factors(0, 7, variety=1.0) == one


@pytest.mark.parametrize("variety", [-0.1, 1.1, float("nan")])
def test_variety_out_of_range_is_named(variety):
  with pytest.raises(errors.UsageError, match="variety=.*: expected 0 to 1"):
    factors.random_factors(0, 0, variety=variety)


def test_categories_alternate():
  drawn = [factors.random_factors(0, index).category for index in range(20)]
  assert drawn == 2 * list(range(10))


def test_generators_of_different_paths_differ():
  paths = [(0,), (0, 0), (0, 0, 0), (1,), (1, 0), (0, 1)]
  drawn = [factors.generator(*path).random() for path in paths]
  assert len(set(drawn)) == len(paths)
  assert factors.generator(4, 2).random() == factors.generator(4, 2).random()


def test_a_negative_index_is_named():
  with pytest.raises(errors.UsageError, match="index=-1: .* change index"):
    factors.random_factors(0, -1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
