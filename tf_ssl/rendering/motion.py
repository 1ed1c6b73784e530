"""Smooth motion without end: places as functions of time, in seconds.

Everything moves by sines whose periods divide one common period, so whatever
holds throughout that period holds for ever.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PERIOD = 24.0  # Seconds.
_CHECKS = 120  # Moments of a period at which paths are compared.
_OFFERS = 100  # Paths that are tried at once.
_GAP = 0.1  # Between two things; they come nearer between the moments.


class Swing(NamedTuple):
  """Values that swing to and fro, each at its own pace.

  Attributes:
    center: [..., n], middles.
    reach: [..., n], how far to either side.
    cycles: [..., n], swings in a period, whole numbers.
    phase: [..., n], when they begin, in swings.
  """

  center: np.ndarray
  reach: np.ndarray
  cycles: np.ndarray
  phase: np.ndarray

  def at(self, time) -> np.ndarray:
    """The values [..., n] at a time, or times [...], in seconds."""
    swings = self.cycles * np.asarray(time)[..., None] / PERIOD + self.phase
    return self.center + self.reach * np.sin(2 * math.pi * swings)


def random_swing(rng: np.random.Generator, center, reach) -> Swing:
  """A swing with drawn phases and one or two cycles; center, reach [..., n]."""
  return Swing(
    np.asarray(center, float),
    np.asarray(reach, float),
    rng.integers(1, 3, size=np.shape(center)),
    rng.random(np.shape(center)),
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
  for size in sizes:
    away, reach = 0.65 * spread, 0.45 * spread
    free = np.zeros(1, bool)
    while not free.any():
      offers = _offers(rng, away, reach)
      offered = offers.at(times[:, None])  # [times, offers, 2]
      free = np.ones(_OFFERS, bool)
      for other, track in zip(sizes, tracks, strict=False):
        apart = np.linalg.norm(offered - track[:, None], axis=-1).min(axis=0)
        free &= apart > size + other + _GAP
      away, reach = away * 1.08, reach * 0.88
    chosen = int(np.argmax(free))
    paths.append(Swing(*(values[chosen] for values in offers)))
    tracks.append(offered[:, chosen])
  return paths


def _offers(rng, away, reach):
  """Many paths, around places at most `away` from the origin: [offers, 2]."""
  angle = rng.uniform(0, 2 * math.pi, size=_OFFERS)
  radius = away * np.sqrt(rng.random(_OFFERS))
  center = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
  return random_swing(
    rng, center, reach * rng.uniform(0.4, 1.0, size=(_OFFERS, 2))
  )
