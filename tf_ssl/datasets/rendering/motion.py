"""Smooth motion without end: places as functions of time, in seconds.

Everything moves by sines whose periods divide one common period, so whatever
holds throughout that period holds for ever.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PERIOD = 24.0  # Seconds.
_CHECKS = 240  # Moments of a period at which paths are compared.


class Swing(NamedTuple):
  """Values that swing to and fro, each at its own pace.

  Attributes:
    centre: [n], middles.
    reach: [n], how far to either side.
    cycles: [n], swings in a period, whole numbers.
    phase: [n], when they begin, in swings.
  """

  centre: np.ndarray
  reach: np.ndarray
  cycles: np.ndarray
  phase: np.ndarray

  def at(self, time) -> np.ndarray:
    """The values [..., n] at times [...] in seconds."""
    swings = self.cycles * np.asarray(time)[..., None] / PERIOD + self.phase
    return self.centre + self.reach * np.sin(2 * math.pi * swings)


def random_swing(
  rng: np.random.Generator,
  centre: Sequence[float],
  reach: Sequence[float],
  most_cycles: int = 2,
) -> Swing:
  """A swing with drawn phases and 1 to `most_cycles` cycles."""
  count = len(centre)
  return Swing(
    np.asarray(centre, float),
    np.asarray(reach, float),
    rng.integers(1, most_cycles + 1, size=count),
    rng.random(count),
  )


def paths_apart(
  rng: np.random.Generator, sizes: Sequence[float], spread: float
) -> list[Swing]:
  """Paths on the ground along which things never meet.

  Args:
    rng: decides the paths.
    sizes: radius of each thing.
    spread: about how far from the origin they stray; more, where things are
      too large to pass each other.

  Returns:
    For each thing the swing of its two coordinates x and z.
  """
  times = np.linspace(0, PERIOD, _CHECKS, endpoint=False)
  paths, tracks = [], []
  for number, size in enumerate(sizes):
    away, reach = 0.65 * spread, 0.6 * spread
    while True:
      angle = rng.uniform(0, 2 * math.pi)
      radius = away * math.sqrt(rng.random())
      path = random_swing(
        rng,
        [radius * math.cos(angle), radius * math.sin(angle)],
        reach * rng.uniform(0.4, 1.0, size=2),
      )
      track = path.at(times)
      if all(
        np.linalg.norm(track - other, axis=-1).min() > size + sizes[earlier]
        for earlier, other in enumerate(tracks[:number])
      ):
        break
      away, reach = away * 1.01, reach * 0.97
    paths.append(path)
    tracks.append(track)
  return paths
