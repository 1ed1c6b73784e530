import sys

import numpy as np
import pytest

from tf_ssl.rendering import solids

_PARTS = {
  "box": solids.box((0.1, -0.2, 0.3), (0.5, 0.3, 0.7)),
  "round box": solids.box((0, 0, 0), (0.5, 0.3, 0.7), rounding=0.1),
  "cone": solids.cone((0, 0.1, 0), 0.6, 0.2, 0.5),
  "cylinder": solids.cylinder((0.2, 0, 0), 0.4, 0.6, axis="x"),
  "torus": solids.torus((0, 0, 0.2), 0.5, 0.15, axis="z"),
  "ball": solids.ellipsoid((0.1, 0.2, 0.3), 0.5),
  "ellipsoid": solids.ellipsoid((0, 0, 0), (0.3, 0.4, 0.6)),
  "turned box": solids.box((0.2, 0.1, 0), (0.6, 0.2, 0.4), turn=("y", 30)),
  "rods": solids.rods(
    [((0, 0, 0), (0.5, 0.3, 0), 0.2), ((0.5, 0, 0), (0.5, 0.3, 0.6), 0.1)]
  ),
  "mirrored cylinders": solids.cylinder(
    (0.5, 0, 0.4), 0.15, 0.3, axis="z", mirror="xz"
  ),
}


def _points(count, seed=0):
  rng = np.random.default_rng(seed)
  return np.float32(rng.uniform(-1.2, 1.2, size=(3, count)))


@pytest.mark.parametrize("name", _PARTS)
def test_distances_are_lower_bounds(name):
  # Ellipsoids are approximate outside, by less than a quarter.
  slack = 1.25 if name == "ellipsoid" else 1.0
  distance = _PARTS[name].distance
  points = _points(4000)
  surface = points[:, np.abs(distance(*points)) < 0.02]
  assert surface.shape[1] > 10
  outside = points[:, distance(*points) > 0.05]
  apart = np.linalg.norm(outside[:, :, None] - surface[:, None], axis=0)
  allowed = distance(*outside)
  assert (allowed <= slack * (apart.min(axis=1) + 0.02)).all()


@pytest.mark.parametrize("name", _PARTS)
def test_the_bounding_box_of_a_part_is_tight(name):
  part = _PARTS[name]
  points = _points(20000, seed=1)
  inside = points[:, part.distance(*points) < 0]
  assert inside.shape[1] > 50
  assert (inside.min(axis=1) >= np.array(part.low) - 1e-6).all()
  assert (inside.max(axis=1) <= np.array(part.high) + 1e-6).all()
  # The box is not much larger.
  room = np.array(part.high) - part.low
  assert (np.ptp(inside, axis=1) > 0.75 * room).all()


def _distance(part, *point):
  columns = np.float32(point)[:, None]
  return part.distance(*columns)[0]


@pytest.mark.parametrize(
  ("name", "point", "expected"),
  [
    ("box", (0.9, -0.2, 0.3), 0.3),
    ("round box", (0.5 + 0.3, 0, 0), 0.3),
    ("cone", (0, 0.9, 0), 0.3),
    ("cylinder", (0.2, 0.9, 0), 0.5),
    ("torus", (0.8, 0, 0.2), 0.15),
    ("ball", (0.1, 0.2, 1.0), 0.2),
    ("ellipsoid", (0, 0.4, 0), 0.0),
    ("rods", (-0.5, -0.3, 0), np.hypot(0.5, 0.3) - 0.2),
    ("mirrored cylinders", (-0.5, 0.35, -0.4), 0.2),
  ],
)
def test_distances_along_an_axis_are_exact(name, point, expected):
  assert _distance(_PARTS[name], *point) == pytest.approx(expected, abs=1e-5)


def test_a_hollow_part_is_empty_inside_its_cavity():
  ball = solids.ellipsoid((0, 0, 0), 0.5)
  shell = solids.hollow(ball, solids.ellipsoid((0, 0, 0), 0.4))
  assert _distance(shell, 0, 0, 0) == pytest.approx(0.4)
  assert _distance(shell, 0.45, 0, 0) == pytest.approx(-0.05)


def test_a_solid_is_the_union_of_its_parts():
  left = solids.ellipsoid((-1, 0, 0), 0.5, material=1)
  right = solids.box((1, 0, 0), (0.5, 0.5, 0.5), material=2)
  solid = solids.join([left, right])
  x = np.float32([-1.7, 1.7])
  zero = np.zeros(2, np.float32)
  np.testing.assert_allclose(solid.distance(x, zero, zero), 0.2, atol=1e-6)
  np.testing.assert_array_equal(solid.material(x, zero, zero), [1, 2])
  assert solid.center == (0, 0, 0) and solid.half == (1.5, 0.5, 0.5)
  assert solid.radius == pytest.approx(np.sqrt(1.5**2 + 0.5**2 + 0.5**2))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
