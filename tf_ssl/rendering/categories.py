"""Ten object categories that differ in shape alone.

A recipe draws the proportions and the variant of one instance and returns its
parts in units of its own. The front faces +z, up is +y. A part's material is
its surface number: 0 body, 1 second color, 2 small details. Color is
independent of the category.
"""

from collections.abc import Callable

import numpy as np

from tf_ssl.rendering import solids

_Uniform = Callable[[float, float], float]  # Draws from [low, high).


def build(category: int, rng: np.random.Generator) -> solids.Solid:
  """Builds one instance.

  Args:
    category: index into `CATEGORIES`.
    rng: generator of the instance, which alone decides the shape.

  Returns:
    The solid, in units of its own.
  """

  def uniform(low, high):
    return float(rng.uniform(low, high))

  return solids.join(_RECIPES[CATEGORIES[category]](uniform))


def _bottle(uniform: _Uniform) -> list[solids.Part]:
  """Body, shoulder, neck, cap; some with a label."""
  radius, body = uniform(0.26, 0.42), uniform(0.35, 0.65)
  neck, neck_height = radius * uniform(0.28, 0.45), uniform(0.16, 0.4)
  shoulder = uniform(0.08, 0.3)
  top = body + 2 * shoulder
  parts = [
    solids.cylinder((0, 0, 0), radius, body),
    solids.cone((0, body + shoulder, 0), radius, neck, shoulder),
    solids.cylinder((0, top + neck_height, 0), neck, neck_height),
    solids.cylinder(
      (0, top + 2 * neck_height, 0), neck * 1.3, 0.08, material=2
    ),
  ]
  if uniform(0, 1) < 0.6:
    label = body * uniform(0.35, 0.65)
    parts.append(
      solids.cylinder(
        (0, uniform(-0.2, 0.1), 0), radius * 1.03, label, material=1
      )
    )
  return parts


def _cactus(uniform: _Uniform) -> list[solids.Part]:
  """Trunk with two or three bent arms, in a pot."""
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
  pot = solids.cone((0, -0.15, 0), 0.3, 0.42, 0.24, material=1)
  return [solids.rods(rods), pot]


def _car(uniform: _Uniform) -> list[solids.Part]:
  """Body, cabin with a band of windows, wheels, lights."""
  width, length = uniform(0.38, 0.5), uniform(0.85, 1.1)
  floor, body = uniform(0.12, 0.22), uniform(0.16, 0.24)
  wheel = uniform(0.18, 0.27)
  cabin, back = uniform(0.18, 0.3), uniform(0.35, 0.62)
  middle = floor + 2 * body + cabin - 0.12
  shift = -uniform(-0.1, 0.9) * (length - back)
  return [
    solids.box(
      (0, floor + body, 0), (width, body, length), rounding=uniform(0.05, 0.12)
    ),
    solids.box(
      (0, middle, shift),
      (width * 0.86, cabin, back),
      rounding=uniform(0.04, 0.12),
    ),
    solids.box(  # The windows, all in one.
      (0, middle + 0.05, shift),
      (width * 0.88, (cabin - 0.05) * 0.6, back + 0.02),
      material=1,
    ),
    solids.cylinder(
      (width - 0.02, floor, length * uniform(0.55, 0.68)),
      wheel,
      0.09,
      axis="x",
      mirror="xz",
      material=2,
    ),
    solids.ellipsoid(
      (width * 0.65, floor + body * 1.1, length), 0.09, mirror="x", material=2
    ),
  ]


def _chain(uniform: _Uniform) -> list[solids.Part]:
  """Three or four interlocking rings."""
  ring, tube = uniform(0.28, 0.36), uniform(0.065, 0.11)
  links = 3 if uniform(0, 1) < 0.6 else 4
  spacing = 2 * ring - 2 * tube - uniform(0, 0.06)
  lean = uniform(-25, 25)
  parts = []
  for link in range(links):
    along = (link - (links - 1) / 2) * spacing
    parts.append(
      solids.torus(
        (along, 0, 0),
        ring,
        tube,
        axis="y" if link % 2 else "z",
        turn=("x", lean),
        material=link % 2,
      )
    )
  return parts


def _chair(uniform: _Uniform) -> list[solids.Part]:
  """Seat, legs, a solid back or a rail; some with arms."""
  width, depth = uniform(0.36, 0.5), uniform(0.36, 0.48)
  leg, thick = uniform(0.3, 0.45), uniform(0.04, 0.09)
  post, back = uniform(0.035, 0.06), uniform(0.35, 0.6)
  x, z = width - post, depth - post
  lean = uniform(0, 14)
  foot = (x + uniform(0, 0.1), -2 * leg, z + uniform(0, 0.08))
  parts = [
    solids.box((0, 0, 0), (width, thick, depth), rounding=0.03, material=1),
    solids.rods([((x, 0, z), foot, post)], mirror="xz"),
  ]
  rods = []
  slope = float(np.tan(np.radians(lean)))
  if uniform(0, 1) < 0.5:
    parts.append(
      solids.box(
        (0, back, -z - back * slope),
        (width, back, 0.05),
        rounding=0.03,
        turn=("x", -lean),
        material=1,
      )
    )
  else:
    end = -z - 2 * back * slope
    rods.append(((x, 0, -z), (x, 2 * back, end), post))
    rail = (width, uniform(0.1, 0.22), 0.05)
    parts.append(solids.box((0, 2 * back, end), rail, material=1))
  if uniform(0, 1) < 0.35:
    arm = uniform(0.25, 0.4)
    rods.append(((x, arm, -z), (x, arm, z), post))
    rods.append(((x, 0, z), (x, arm, z), post))
  if rods:
    parts.append(solids.rods(rods, mirror="x"))
  return parts


def _lamp(uniform: _Uniform) -> list[solids.Part]:
  """Foot, pole, open shade with a bulb."""
  height, base = uniform(0.55, 0.95), uniform(0.26, 0.42)
  bottom, shade = uniform(0.45, 0.65), uniform(0.22, 0.36)
  top = bottom * uniform(0.3, 0.75)
  parts = [
    solids.cylinder((0, -height, 0), base, 0.05),
    solids.cylinder((0, 0, 0), uniform(0.035, 0.06), height),
    solids.hollow(
      solids.cone((0, height, 0), bottom, top, shade, material=1),
      solids.cone((0, height - 0.04, 0), bottom - 0.05, top - 0.05, shade),
    ),
    solids.ellipsoid((0, height - shade * 0.4, 0), 0.13, material=2),
  ]
  if uniform(0, 1) < 0.5:
    belly = uniform(0.16, 0.26)
    parts.append(
      solids.ellipsoid(
        (0, -height + belly, 0), (belly, belly * uniform(1, 1.4), belly)
      )
    )
  return parts


def _mug(uniform: _Uniform) -> list[solids.Part]:
  """Hollow cup with a handle, filled."""
  radius, height = uniform(0.42, 0.58), uniform(0.42, 0.68)
  taper = uniform(0.8, 1.05)
  ring, tube = height * uniform(0.5, 0.64), uniform(0.06, 0.1)
  wall = solids.cone((0, 0, 0), radius * taper, radius, height)
  inside = solids.cone(
    (0, 0.1, 0), radius * taper - 0.07, radius - 0.07, height
  )
  reach = radius * (1 + taper) / 2
  handle = solids.torus((reach, 0, 0), ring, tube, axis="z", material=1)
  fill = uniform(-0.2, 0.7) * height
  return [
    solids.hollow(wall, inside),
    solids.hollow(handle, wall),
    solids.cylinder(
      (0, fill, 0), radius * min(taper, 1) - 0.05, 0.03, material=2
    ),
  ]


def _plane(uniform: _Uniform) -> list[solids.Part]:
  """Body, wings, tail; some with engines."""
  body, length = uniform(0.15, 0.22), uniform(0.85, 1.05)
  span, chord = uniform(0.8, 1.1), uniform(0.18, 0.28)
  sweep, tail = uniform(0, 32), uniform(0.28, 0.42)
  middle = span / 2 * float(np.cos(np.radians(sweep)))
  back = -span / 2 * float(np.sin(np.radians(sweep)))
  parts = [
    solids.ellipsoid((0, 0, 0), (body, body, length)),
    solids.box(
      (middle, uniform(-0.6, 0.6) * body, 0.2 + back),
      (span / 2, 0.045, chord),
      turn=("y", sweep),
      mirror="x",
      material=1,
    ),
    solids.box(
      (0, 0.03, 0.13 - length), (tail, 0.035, chord * 0.6), material=1
    ),
    solids.box(
      (0, tail * 0.6, 0.1 - length),
      (0.035, tail * 0.6, chord * 0.7),
      turn=("x", -15),
      material=2,
    ),
  ]
  if uniform(0, 1) < 0.5:
    parts.append(
      solids.cylinder(
        (middle * uniform(0.6, 0.9), -0.1, 0.25 + back * 0.8),
        0.085,
        0.19,
        axis="z",
        mirror="x",
        material=2,
      )
    )
  return parts


def _table(uniform: _Uniform) -> list[solids.Part]:
  """Round or rectangular top on four legs or one."""
  width, depth = uniform(0.75, 1.0), uniform(0.45, 0.75)
  leg, thick = uniform(0.28, 0.46), uniform(0.04, 0.08)
  post = uniform(0.04, 0.08)
  if uniform(0, 1) < 0.5:
    top = solids.box((0, 0, 0), (width, thick, depth))
    feet = (width - 1.5 * post, depth - 1.5 * post)
  else:
    width *= 0.9
    top = solids.cylinder((0, 0, 0), width, thick)
    feet = (width * 0.62, width * 0.62)
  if uniform(0, 1) < 0.65:
    stand = [
      solids.box(
        (feet[0], -leg, feet[1]), (post, leg, post), mirror="xz", material=1
      )
    ]
  else:
    foot = uniform(0.3, 0.45)
    stand = [
      solids.cylinder((0, -leg, 0), 1.6 * post, leg, material=1),
      solids.cone((0, -2 * leg, 0), foot, foot * 0.6, 0.05, material=1),
    ]
  return [top, *stand]


def _tower(uniform: _Uniform) -> list[solids.Part]:
  """Stepped pyramid with a pointed top."""
  levels = int(uniform(3, 5.99))
  width, rise = uniform(0.6, 0.85), uniform(0.13, 0.24)
  shrink = width * uniform(0.55, 0.85) / levels
  parts = []
  for level in range(levels):
    side = width - level * shrink
    parts.append(
      solids.box(
        (0, 2 * rise * level, 0), (side, rise, side), material=level % 2
      )
    )
  top, height = width - levels * shrink, uniform(0.1, 0.3)
  parts.append(
    solids.cone(
      (0, 2 * rise * levels - rise + height, 0),
      max(top, 0.12),
      0.01,
      height,
      material=2,
    )
  )
  return parts


_RECIPES = {
  "bottle": _bottle,
  "cactus": _cactus,
  "car": _car,
  "chain": _chain,
  "chair": _chair,
  "lamp": _lamp,
  "mug": _mug,
  "plane": _plane,
  "table": _table,
  "tower": _tower,
}
# Alphabetical, so that class ids equal those of a class folder.
CATEGORIES = tuple(_RECIPES)
