"""Recipes of things found indoors.

Each recipe draws one instance's proportions and variant, and returns its parts
in units of its own; the front faces +z, up is +y. The material of a part says
only which parts look alike: 0 body, 1 second color, 2 small details.
"""

from collections.abc import Callable

import numpy as np

from tf_ssl.rendering import primitives, solids

# What a recipe draws its numbers with: from a least to a greatest.
Uniform = Callable[[float, float], float]


def bottle(uniform: Uniform) -> list[solids.Part]:
  """Body, shoulder, neck, cap; some with a label."""
  radius, body = uniform(0.26, 0.42), uniform(0.35, 0.65)
  neck, neck_height = radius * uniform(0.28, 0.45), uniform(0.16, 0.4)
  shoulder = uniform(0.08, 0.3)
  top = body + 2 * shoulder
  parts = [
    primitives.cylinder((0, 0, 0), radius, body),
    primitives.cone((0, body + shoulder, 0), radius, neck, shoulder),
    primitives.cylinder((0, top + neck_height, 0), neck, neck_height),
    primitives.cylinder(
      (0, top + 2 * neck_height, 0), neck * 1.3, 0.08, material=2
    ),
  ]
  if uniform(0, 1) < 0.6:
    label = body * uniform(0.35, 0.65)
    parts.append(
      primitives.cylinder(
        (0, uniform(-0.2, 0.1), 0), radius * 1.03, label, material=1
      )
    )
  return parts


def chair(uniform: Uniform) -> list[solids.Part]:
  """Seat, legs, a solid back or a rail; some with arms."""
  width, depth = uniform(0.36, 0.5), uniform(0.36, 0.48)
  leg, thick = uniform(0.3, 0.45), uniform(0.04, 0.09)
  post, back = uniform(0.035, 0.06), uniform(0.35, 0.6)
  x, z = width - post, depth - post
  lean = uniform(0, 14)
  foot = (x + uniform(0, 0.1), -2 * leg, z + uniform(0, 0.08))
  parts = [
    primitives.box((0, 0, 0), (width, thick, depth), rounding=0.03, material=1),
    primitives.rods([((x, 0, z), foot, post)], mirror="xz"),
  ]
  rods = []
  slope = float(np.tan(np.radians(lean)))
  if uniform(0, 1) < 0.5:
    parts.append(
      primitives.box(
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
    parts.append(primitives.box((0, 2 * back, end), rail, material=1))
  if uniform(0, 1) < 0.35:
    arm = uniform(0.25, 0.4)
    rods.append(((x, arm, -z), (x, arm, z), post))
    rods.append(((x, 0, z), (x, arm, z), post))
  if rods:
    parts.append(primitives.rods(rods, mirror="x"))
  return parts


def lamp(uniform: Uniform) -> list[solids.Part]:
  """Foot, pole, an open shade with its bulb."""
  height, base = uniform(0.55, 0.95), uniform(0.26, 0.42)
  bottom, shade = uniform(0.45, 0.65), uniform(0.22, 0.36)
  top = bottom * uniform(0.3, 0.75)
  parts = [
    primitives.cylinder((0, -height, 0), base, 0.05),
    primitives.cylinder((0, 0, 0), uniform(0.035, 0.06), height),
    solids.hollow(
      primitives.cone((0, height, 0), bottom, top, shade, material=1),
      primitives.cone((0, height - 0.04, 0), bottom - 0.05, top - 0.05, shade),
    ),
    primitives.ellipsoid((0, height - shade * 0.4, 0), 0.13, material=2),
  ]
  if uniform(0, 1) < 0.5:
    belly = uniform(0.16, 0.26)
    parts.append(
      primitives.ellipsoid(
        (0, -height + belly, 0), (belly, belly * uniform(1, 1.4), belly)
      )
    )
  return parts


def mug(uniform: Uniform) -> list[solids.Part]:
  """A hollow cup with a handle, filled."""
  radius, height = uniform(0.42, 0.58), uniform(0.42, 0.68)
  taper = uniform(0.8, 1.05)
  ring, tube = height * uniform(0.5, 0.64), uniform(0.06, 0.1)
  wall = primitives.cone((0, 0, 0), radius * taper, radius, height)
  inside = primitives.cone(
    (0, 0.1, 0), radius * taper - 0.07, radius - 0.07, height
  )
  reach = radius * (1 + taper) / 2
  handle = primitives.torus((reach, 0, 0), ring, tube, axis="z", material=1)
  fill = uniform(-0.2, 0.7) * height
  return [
    solids.hollow(wall, inside),
    solids.hollow(handle, wall),
    primitives.cylinder(
      (0, fill, 0), radius * min(taper, 1) - 0.05, 0.03, material=2
    ),
  ]


def table(uniform: Uniform) -> list[solids.Part]:
  """A round or square top on four legs or on one."""
  width, depth = uniform(0.75, 1.0), uniform(0.45, 0.75)
  leg, thick = uniform(0.28, 0.46), uniform(0.04, 0.08)
  post = uniform(0.04, 0.08)
  if uniform(0, 1) < 0.5:
    top = primitives.box((0, 0, 0), (width, thick, depth))
    feet = (width - 1.5 * post, depth - 1.5 * post)
  else:
    width *= 0.9
    top = primitives.cylinder((0, 0, 0), width, thick)
    feet = (width * 0.62, width * 0.62)
  if uniform(0, 1) < 0.65:
    stand = [
      primitives.box(
        (feet[0], -leg, feet[1]), (post, leg, post), mirror="xz", material=1
      )
    ]
  else:
    foot = uniform(0.3, 0.45)
    stand = [
      primitives.cylinder((0, -leg, 0), 1.6 * post, leg, material=1),
      primitives.cone((0, -2 * leg, 0), foot, foot * 0.6, 0.05, material=1),
    ]
  return [top, *stand]
