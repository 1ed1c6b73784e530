"""The factors that a still is made of, and how they are drawn."""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import categories

# Images with numbers in the same block of this size share a pool of
# instances; different blocks share none.
BLOCK = 10**9
# Instances of a category in one pool. Enough that two thousand images show
# each about twice, few enough that the same thing is seen again.
POOL = 100
# First number of every path, so that no two kinds of thing share a generator.
FACTORS, SHAPE, LOOKS, BACKGROUND, OCCLUDER, VIDEO = range(1, 7)
# Backgrounds of a world. So few that a background does not tell an image from
# all others: a contrastive method has to look at the object too.
BACKGROUNDS = 70
BLACK = -1  # The number of no background.


class Factors(NamedTuple):
  """Everything that decides how a still looks, given the seed of the world.

  Attributes:
    category: index into `categories.CATEGORIES`.
    instance: which one of its kind: proportions, colors and texture; >= 0.
    azimuth: degrees that the object is turned about the vertical; at 0 its
      front faces the camera.
    elevation: degrees of the camera above the horizon, -80 to 80.
    light_azimuth: degrees; at 0 the light stands behind the camera, at 90 on
      the right.
    light_color: red, green, blue of the light, 0 to 2; 1, 1, 1 is white.
    cover: eighths of the object that are visible, 0 to 8 (8: no occluder).
    occluder: which occluder, where cover is less than 8; >= 0.
    x: where the object's middle is seen, 0 (left edge) to 1 (right edge).
    y: the same from the top, 0, to the bottom, 1.
    scale: diameter of the object's bounding sphere, in image sides, 0.1 to 2.
    background: which background; `BLACK` for none. The kind of others is
      `background.KINDS[background % len(background.KINDS)]`.
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
  """Raises UsageError if a factor is outside its range."""
  for name, (low, high) in _RANGES.items():
    value = getattr(factors, name)
    if not low <= value <= high:
      raise errors.UsageError(
        f"{name}={value!r}: expected {low} to {high}; change {name}."
      )
  for value in factors.light_color:
    if not 0 <= value <= 2:
      raise errors.UsageError(
        f"light_color={factors.light_color!r}: expected three values 0 to 2;"
        " change light_color."
      )


def generator(seed: int, *path: int) -> np.random.Generator:
  """The generator of one thing of the world: a pure function of its numbers.

  Args:
    seed: of the world, >= 0.
    *path: numbers that tell this thing from all others, each >= 0.

  Raises:
    UsageError: if seed is negative.
  """
  if seed < 0:
    raise errors.UsageError(
      f"seed={seed}: expected a whole number >= 0; change seed."
    )
  entropy = [int(seed), *(int(number) for number in path)]
  # With the length, as SeedSequence takes [1] and [1, 0] for the same.
  sequence = np.random.SeedSequence([*entropy, len(entropy)])
  return np.random.Generator(np.random.Philox(sequence))


def random_factors(seed: int, index: int, *, variety: float = 1.0) -> Factors:
  """Draws the factors of image number `index`.

  Categories take turns, so any run of ten consecutive numbers has each once.

  Args:
    seed: of the world, >= 0.
    index: of the image, >= 0.
    variety: how widely viewpoint, light and occlusion differ and how many
      backgrounds there are: 1 for the whole world, toward 0 for a studio in
      which only the objects themselves differ.

  Returns:
    The factors: a pure function of the arguments.

  Raises:
    UsageError: if index or variety is out of range.
  """
  if not 0 <= variety <= 1:
    raise errors.UsageError(
      f"variety={variety!r}: expected 0 to 1; change variety."
    )
  if index < 0:
    raise errors.UsageError(
      f"index={index}: expected a whole number >= 0; change index."
    )
  rng = generator(seed, FACTORS, index)
  tint, power = rng.uniform(-0.2, 0.2), rng.uniform(0.75, 1.15)
  scale = rng.uniform(0.95, 1.25)
  room = 0.03 + (1.25 - scale) * 0.2  # Smaller ones may stray farther.
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
  """Turns an angle toward another; unchanged where variety is 1."""
  away = (angle - center + 180) % 360 - 180
  return angle - (1 - variety) * away
