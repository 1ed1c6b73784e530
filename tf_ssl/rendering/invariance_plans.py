"""Factors of the images of each invariance set.

Within a set only the factor of the invariance varies. The others are drawn once
per set, as in `factors.random_factors`. Sets of one category never share an
instance.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from tf_ssl.rendering import categories, factors

# Block of indices and instances of the sets, outside `synthetic.SPLITS`.
_BLOCK = 3
# Largest azimuth of the light, degrees, as in `factors.random_factors`.
_LIGHT_REACH = 110.0
_MOST_LIGHT = 2.0  # Maximum of each color in `factors.check`.
# Largest shift of the object, image sides, and the scale at which the shifted
# object is completely inside the image.
_SHIFT_REACH, _SHIFT_SCALE = 0.25, 0.5
_SCALES = 0.35, 1.0  # Image sides.


class Member(NamedTuple):
  """One image of a set: its factors, and the value of the varying factor."""

  factors: factors.Factors
  value: float


class _Kind(NamedTuple):
  """One invariance.

  Attributes:
    vary: function from the common factors of a set, its generator and the
      number of images to its members.
    factor: name, unit and period of the varying factor.
    most: maximum number of images per set; None for no limit.
    target: function from a member to the coordinates of the factor; None for
      those that follow from its value.
  """

  vary: Callable[..., Iterable[Member]]
  factor: tuple[str, str, float | None] = ("", "", None)
  most: int | None = None
  target: Callable[[Member], tuple[float, ...]] | None = None


BACKGROUNDS = ("changing", "fixed", "black")


def plan(
  invariance: str,
  num_sets: int,
  images_per_set: int,
  seed: int,
  *,
  background: str = "fixed",
  tint_reach: float = 0.8,
) -> list[list[Member]]:
  """Draws the factors of the images of each set.

  Args:
    invariance: one of `KINDS`.
    num_sets: number of sets; categories alternate.
    images_per_set: number of images per set; fewer if the invariance has fewer
      values.
    seed: seed of the world, >= 0.
    background: one of `BACKGROUNDS`; ignored for the invariance to background.
    tint_reach: largest fraction that red gains and blue loses, or the reverse,
      0 to 1, for the invariance to the color of the light.

  Returns:
    The members of each set, a pure function of the arguments. Set i does not
    depend on the number of sets.
  """
  kind = KINDS[invariance]
  count = min(images_per_set, kind.most or images_per_set)
  colored = invariance == "illumination_colour"
  options = {"reach": tint_reach} if colored else {}
  sets = []
  for number in range(num_sets):
    index = _BLOCK * factors.BLOCK + number
    common = factors.random_factors(seed, index)._replace(
      instance=_BLOCK * factors.POOL + _first_instance(number, count), cover=8
    )
    # The path of `random_factors`, extended by one number.
    rng = factors.generator(seed, factors.FACTORS, index, 1)
    members = list(kind.vary(common, rng, count, **options))
    if background != "fixed" and invariance != "background":
      rng = factors.generator(seed, factors.FACTORS, index, 2)
      members = _in_front_of(background, members, rng)
    sets.append(members)
  return sets


def _in_front_of(background, members, rng):
  """The members of a set on black, or each on another background."""
  if background == "black":
    behind = [factors.BLACK] * len(members)
  else:
    order = rng.permutation(factors.BACKGROUNDS)
    behind = np.resize(order, len(members)).tolist()  # From the start again.
  return [
    member._replace(factors=member.factors._replace(background=number))
    for member, number in zip(members, behind, strict=True)
  ]


def _first_instance(number: int, count: int) -> int:
  return number // len(categories.CATEGORIES) * count


def _spread(reach: float, count: int) -> list[float]:
  """`count` evenly spaced values from -reach to reach; 0 if count is 1."""
  return np.linspace(-reach, reach, count).tolist() if count > 1 else [0.0]


def _turned(common, count):
  for number in range(count):
    azimuth = (common.azimuth + 360 * number / count) % 360
    yield common._replace(azimuth=azimuth)


def _viewpoint(common, _, count):
  return [Member(seen, seen.azimuth) for seen in _turned(common, count)]


def _occlusion(common, _, count):
  covers = np.unique(np.linspace(8, 1, count).round().astype(int)).tolist()
  return [Member(common._replace(cover=cover), cover) for cover in covers]


def _illumination_direction(common, _, count):
  return [
    Member(common._replace(light_azimuth=angle % 360), angle)
    for angle in _spread(_LIGHT_REACH, count)
  ]


def _illumination_colour(common, _, count, *, reach):
  power = min(common.light_color[1], _MOST_LIGHT / (1 + reach))
  return [
    Member(
      common._replace(
        light_color=(power * (1 + tint), power, power * (1 - tint))
      ),
      tint,
    )
    for tint in _spread(reach, count)
  ]


def _others(shown):
  """The same factors with consecutive instances."""
  for number, seen in enumerate(shown):
    yield seen._replace(instance=seen.instance + number)


def _instance(common, _, count):
  return [Member(seen, math.nan) for seen in _others([common] * count)]


def _instance_viewpoint(common, _, count):
  return [
    Member(seen, seen.azimuth) for seen in _others(_turned(common, count))
  ]


def _background(common, rng, count):
  chosen = rng.permutation(factors.BACKGROUNDS)[:count].tolist()
  return [
    Member(common._replace(background=number), math.nan) for number in chosen
  ]


def _position(common, rng, count):
  angle = rng.uniform(0, math.pi)
  return [
    Member(
      common._replace(
        x=0.5 + shift * math.cos(angle),
        y=0.5 + shift * math.sin(angle),
        scale=_SHIFT_SCALE,
      ),
      shift,
    )
    for shift in _spread(_SHIFT_REACH, count)
  ]


def _rotation(common, _, count):
  return [
    Member(common._replace(roll=360 * i / count), 360 * i / count)
    for i in range(count)
  ]


def _scale(common, _, count):
  return [
    Member(common._replace(x=0.5, y=0.5, scale=scale), scale)
    for scale in np.geomspace(*_SCALES, count).tolist()
  ]


KINDS = {
  "occlusion": _Kind(_occlusion, ("visible part", "eighths", None), 8),
  "viewpoint": _Kind(_viewpoint, ("azimuth", "degrees", 360.0)),
  "illumination_direction": _Kind(
    _illumination_direction, ("azimuth of the light", "degrees", None)
  ),
  "illumination_colour": _Kind(_illumination_colour, ("tint", "", None)),
  "instance": _Kind(_instance),
  "instance_viewpoint": _Kind(
    _instance_viewpoint, ("azimuth", "degrees", 360.0)
  ),
  "background": _Kind(_background, most=factors.BACKGROUNDS),
  "position": _Kind(
    _position,
    ("shift", "image sides", None),
    # Each set has its own direction.
    target=lambda member: (member.factors.x, member.factors.y),
  ),
  "scale": _Kind(
    _scale,
    ("diameter", "image sides", None),
    target=lambda member: (math.log(member.value),),
  ),
  "rotation": _Kind(_rotation, ("angle in the image", "degrees", 360.0)),
}
