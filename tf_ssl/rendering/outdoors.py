"""Recipes of things found outdoors.

Each recipe draws one instance's proportions and variant, and returns its parts
in units of its own; the front faces +z, up is +y. The material of a part says
only which parts look alike: 0 body, 1 second color, 2 small details.
"""

from collections.abc import Callable

import numpy as np

from tf_ssl.rendering import primitives, solids

# What a recipe draws its numbers with: from a least to a greatest.
Uniform = Callable[[float, float], float]


def cactus(uniform: Uniform) -> list[solids.Part]:
  """A trunk with two or three bent arms, in a pot."""
  trunk, height = uniform(0.17, 0.26), uniform(1.3, 1.8)
  rods = [((0, 0, 0), (0, height, 0), trunk)]
  heading = uniform(0, 2 * np.pi)
  arms = 2 if uniform(0, 1) < 0.6 else 3
  for arm in range(arms):
    angle = heading + 2 * np.pi * arm / arms + uniform(-0.4, 0.4)
    reach, start = uniform(0.48, 0.7), height * uniform(0.3, 0.6)
    x, z = float(np.cos(angle)) * reach, float(np.sin(angle)) * reach
    thick, end = trunk * uniform(0.6, 0.8), start + uniform(0.3, 0.75)
    rods.append(((0, start, 0), (x, start, z), thick))
    rods.append(((x, start, z), (x, end, z), thick))
  pot = primitives.cone((0, -0.15, 0), 0.3, 0.42, 0.24, material=1)
  return [primitives.rods(rods), pot]


def car(uniform: Uniform) -> list[solids.Part]:
  """Body, cabin with a band of windows, wheels, lights."""
  width, length = uniform(0.38, 0.5), uniform(0.85, 1.1)
  floor, body = uniform(0.12, 0.22), uniform(0.16, 0.24)
  wheel = uniform(0.18, 0.27)
  cabin, back = uniform(0.18, 0.3), uniform(0.35, 0.62)
  middle = floor + 2 * body + cabin - 0.12
  shift = -uniform(-0.1, 0.9) * (length - back)
  return [
    primitives.box(
      (0, floor + body, 0), (width, body, length), rounding=uniform(0.05, 0.12)
    ),
    primitives.box(
      (0, middle, shift),
      (width * 0.86, cabin, back),
      rounding=uniform(0.04, 0.12),
    ),
    primitives.box(  # The windows, all in one.
      (0, middle + 0.05, shift),
      (width * 0.88, (cabin - 0.05) * 0.6, back + 0.02),
      material=1,
    ),
    primitives.cylinder(
      (width - 0.02, floor, length * uniform(0.55, 0.68)),
      wheel,
      0.09,
      axis="x",
      mirror="xz",
      material=2,
    ),
    primitives.ellipsoid(
      (width * 0.65, floor + body * 1.1, length), 0.09, mirror="x", material=2
    ),
  ]


def chain(uniform: Uniform) -> list[solids.Part]:
  """Three or four rings, each through the next."""
  ring, tube = uniform(0.28, 0.36), uniform(0.065, 0.11)
  links = 3 if uniform(0, 1) < 0.6 else 4
  spacing = 2 * ring - 2 * tube - uniform(0, 0.06)
  lean = uniform(-25, 25)
  parts = []
  for link in range(links):
    along = (link - (links - 1) / 2) * spacing
    parts.append(
      primitives.torus(
        (along, 0, 0),
        ring,
        tube,
        axis="y" if link % 2 else "z",
        turn=("x", lean),
        material=link % 2,
      )
    )
  return parts


def plane(uniform: Uniform) -> list[solids.Part]:
  """Body, wings, tail; some with engines."""
  body, length = uniform(0.15, 0.22), uniform(0.85, 1.05)
  span, chord = uniform(0.8, 1.1), uniform(0.18, 0.28)
  sweep, tail = uniform(0, 32), uniform(0.28, 0.42)
  middle = span / 2 * float(np.cos(np.radians(sweep)))
  back = -span / 2 * float(np.sin(np.radians(sweep)))
  parts = [
    primitives.ellipsoid((0, 0, 0), (body, body, length)),
    primitives.box(
      (middle, uniform(-0.6, 0.6) * body, 0.2 + back),
      (span / 2, 0.045, chord),
      turn=("y", sweep),
      mirror="x",
      material=1,
    ),
    primitives.box(
      (0, 0.03, 0.13 - length), (tail, 0.035, chord * 0.6), material=1
    ),
    primitives.box(
      (0, tail * 0.6, 0.1 - length),
      (0.035, tail * 0.6, chord * 0.7),
      turn=("x", -15),
      material=2,
    ),
  ]
  if uniform(0, 1) < 0.5:
    parts.append(
      primitives.cylinder(
        (middle * uniform(0.6, 0.9), -0.1, 0.25 + back * 0.8),
        0.085,
        0.19,
        axis="z",
        mirror="x",
        material=2,
      )
    )
  return parts


def tower(uniform: Uniform) -> list[solids.Part]:
  """A pyramid of steps with a point on top."""
  levels = int(uniform(3, 5.99))
  width, rise = uniform(0.6, 0.85), uniform(0.13, 0.24)
  shrink = width * uniform(0.55, 0.85) / levels
  parts = []
  for level in range(levels):
    side = width - level * shrink
    parts.append(
      primitives.box(
        (0, 2 * rise * level, 0), (side, rise, side), material=level % 2
      )
    )
  top, height = width - levels * shrink, uniform(0.1, 0.3)
  parts.append(
    primitives.cone(
      (0, 2 * rise * levels - rise + height, 0),
      max(top, 0.12),
      0.01,
      height,
      material=2,
    )
  )
  return parts
