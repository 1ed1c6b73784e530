"""The factors of a still, and their random distribution."""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import categories

# Indices in one block of this size share a pool of instances; blocks share no
# instance.
BLOCK = 10**9
# Instances per category in one pool: two thousand images show each instance
# about twice.
POOL = 100
# First number of each `path`, so that no two purposes share a generator.
FACTORS, SHAPE, LOOKS, BACKGROUND, OCCLUDER, VIDEO = range(1, 7)
# Number of backgrounds of a world. It is small, so that a background does not
# identify an image: a contrastive method must use the object as well.
BACKGROUNDS = 70
BLACK = -1  # Number of the black background.


class Factors(NamedTuple):
  """All factors that decide a still, given the seed of the world.

  Attributes:
    category: index into `categories.CATEGORIES`.
    instance: number of the instance in its category, which decides proportions,
      colors and texture; >= 0.
    azimuth: rotation of the object about the vertical axis, degrees; at 0 its
      front faces the camera.
    elevation: elevation of the camera above the horizon, degrees, -80 to 80.
    light_azimuth: azimuth of the light, degrees; 0 is behind the camera, 90 is
      right.
    light_color: red, green, blue of the light, 0 to 2; 1, 1, 1 is white.
    cover: visible eighths of the object, 0 to 8 (8: no occluder).
    occluder: number of the occluder, used if cover is less than 8; >= 0.
    x: horizontal position of the object's center, 0 (left edge) to 1 (right
      edge).
    y: vertical position of the object's center, 0 (top) to 1 (bottom).
    scale: diameter of the object's bounding sphere, image sides, 0.1 to 2.
    background: number of the background; `BLACK` for none. Its kind is
      `background.KINDS[background % len(background.KINDS)]`.
    roll: rotation of the object in the image plane, degrees, counterclockwise.
  """

  category: int
  instance: int
  azimuth: float = 30.0
  elevation: float = 20.0
  light_azimuth: float = -40.0
  light_color: tuple[float, float, float] = (1.0, 1.0, 1.0)
  cover: int = 8
  occluder: int = 0
  x: float = 0.5
  y: float = 0.5
  scale: float = 0.9
  background: int = 0
  roll: float = 0.0


_USUAL = Factors(category=0, instance=0)
_RANGES = {
  "category": (0, len(categories.CATEGORIES) - 1),
  "instance": (0, 2**63),
  "elevation": (-80, 80),
  "cover": (0, 8),
  "occluder": (0, 2**63),
  "x": (0, 1),
  "y": (0, 1),
  "scale": (0.1, 2),
  "background": (BLACK, 2**63),
}


def check(factors: Factors) -> None:
  """Raises UsageError if a factor is out of range."""
  for name, (low, high) in _RANGES.items():
    value = getattr(factors, name)
    if not low <= value <= high:
      raise errors.UsageError(
        f"{name}={value!r}: expected {low} to {high}; change {name}"
      )
  for value in factors.light_color:
    if not 0 <= value <= 2:
      raise errors.UsageError(
        f"light_color={factors.light_color!r}: expected three values from 0 to"
        " 2; change light_color"
      )


def generator(seed: int, *path: int) -> np.random.Generator:
  """Returns a generator that is a pure function of the given numbers.

  Args:
    seed: seed of the world, >= 0.
    *path: numbers that identify what the generator draws, each >= 0.

  Raises:
    UsageError: the seed is negative.
  """
  if seed < 0:
    raise errors.UsageError(
      f"seed={seed}: expected a whole number >= 0; change seed"
    )
  entropy = [int(seed), *(int(number) for number in path)]
  # The length is included because SeedSequence treats [1] and [1, 0] alike.
  sequence = np.random.SeedSequence([*entropy, len(entropy)])
  return np.random.Generator(np.random.Philox(sequence))


def random_factors(seed: int, index: int, *, variety: float = 1.0) -> Factors:
  """Draws the factors of image number `index`.

  Categories alternate: any ten consecutive indices have each category once.

  Args:
    seed: seed of the world, >= 0.
    index: index of the image, >= 0.
    variety: range of viewpoint, light, occlusion and backgrounds, 0 to 1: 1 for
      the full range, 0 for a studio where only the object differs.

  Returns:
    The factors, a pure function of the arguments.

  Raises:
    UsageError: index or variety is out of range.
  """
  errors.require(
    0 <= variety <= 1, f"variety={variety!r}: expected 0 to 1; change variety"
  )
  errors.require(
    index >= 0, f"index={index}: expected a whole number >= 0; change index"
  )
  rng = generator(seed, FACTORS, index)
  tint, power = rng.uniform(-0.2, 0.2), rng.uniform(0.75, 1.15)
  scale = rng.uniform(0.95, 1.25)
  room = 0.03 + (1.25 - scale) * 0.2  # Smaller objects may be farther off.
  return Factors(
    category=index % len(categories.CATEGORIES),
    instance=index // BLOCK * POOL + int(rng.integers(POOL)),
    azimuth=_nearer(rng.uniform(0, 360), _USUAL.azimuth, variety) % 360,
    elevation=_nearer(rng.uniform(5, 35), _USUAL.elevation, variety),
    light_azimuth=_nearer(
      rng.uniform(-110, 110) % 360, _USUAL.light_azimuth, variety
    )
    % 360,
    light_color=(power * (1 + tint), power, power * (1 - tint)),
    cover=round(8 - variety * (8 - int(min(8, rng.integers(5, 25))))),
    occluder=int(rng.integers(2**31)),
    x=0.5 + rng.uniform(-room, room),
    y=0.5 + rng.uniform(-room, room),
    scale=scale,
    background=int(rng.integers(BACKGROUNDS))
    % max(1, round(variety * BACKGROUNDS)),
  )


def _nearer(angle: float, center: float, variety: float) -> float:
  """Moves an angle toward `center`; not at all if variety is 1."""
  away = (angle - center + 180) % 360 - 180
  return angle - (1 - variety) * away
