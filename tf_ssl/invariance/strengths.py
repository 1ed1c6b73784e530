"""The score of a picture and its version, by the strength of the alteration.

At each strength a set is a picture and its one version. The intervals are over
pictures.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.invariance import chance as chance_lib
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.invariance import score as score_lib

_PAIR = 2
_PERMUTATIONS = 1  # Of many pictures: their deviation is small.


class StrengthPoint(NamedTuple):
  """The score at one strength.

  Attributes:
    strength: strength of the alteration.
    scores: {K: percent}.
    intervals: {K: Interval} over pictures.
    chance: {K: percent}, the score when pictures and versions are assigned to
      pairs at random.
    num_pictures: number of pictures.
  """

  strength: float
  scores: dict[int, float]
  intervals: dict[int, intervals_lib.Interval]
  chance: dict[int, float]
  num_pictures: int


def if_random(rate: float, num_images: int) -> float:
  """Share of the images of a set on which a unit fires, if it fires at random.

  Only sets in which it fires at all count, as in variant "code".

  Args:
    rate: rate p at which the unit fires on any image.
    num_images: number of images of a set, n.

  Returns:
    p / (1 - (1 - p)^n), which is 1 / n for p near 0.
  """
  return rate / (1 - (1 - rate) ** num_images)


def by_strength(
  features: np.ndarray,
  pictures: np.ndarray,
  levels: np.ndarray,
  strengths: Sequence[float],
  *,
  top_k: Sequence[int],
  variant: str,
  firing_fraction: float,
  resamples: int,
  confidence: float,
  seed: int,
) -> list[StrengthPoint]:
  """Scores the pictures with their versions of each strength.

  Args:
    features: [M, D] float.
    pictures: [M] int, picture that each image shows.
    levels: [M] int, 0 for the picture as it is, i for its version of the i-th
      strength.
    strengths: strengths, weakest first.
    top_k: numbers of units, K.
    variant: "code"; see `own_pictures`.
    firing_fraction: share of the images on which a unit fires.
    resamples: number of resamples of the intervals.
    confidence: confidence level of the intervals, between 0 and 1.
    seed: seed of resamples and permutations; with one seed, equal pictures are
      drawn for all models and strengths.
  """
  how = {
    "top_k": tuple(top_k),
    "variant": variant,
    "firing_fraction": firing_fraction,
    "min_images": _PAIR,
  }
  points = []
  for level, strength in enumerate(strengths, 1):
    rows = np.flatnonzero((levels == 0) | (levels == level))
    pair, sets = features[rows], pictures[rows]
    classes = np.zeros(len(rows), np.int64)
    score = score_lib.representation_invariance_score(
      pair, sets, classes, **how
    )
    chance = chance_lib.chance_score(
      pair, sets, classes, permutations=_PERMUTATIONS, seed=seed, **how
    )
    points.append(
      StrengthPoint(
        float(strength),
        dict(score.scores),
        intervals_lib.intervals(
          score, resamples=resamples, confidence=confidence, seed=seed
        ),
        dict(chance.scores),
        len(score.sets.ids),
      )
    )
  return points
