"""Chance level of an invariance score: images in random sets. NumPy only."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import firing, image_sets, matched, score


class ChanceScore(NamedTuple):
  """Chance level over random permutations of the images.

  Attributes:
    scores: {K: percent}, mean over permutations.
    deviations: {K: percent}, standard deviation over permutations; 0 for one
      permutation.
    matched: {K: percent}, mean of the matched scores, see `matched.at`.
  """

  scores: dict[int, float]
  deviations: dict[int, float]
  matched: dict[int, float]


def chance_score(
  features: np.ndarray,
  sets: np.ndarray,
  classes: np.ndarray | None = None,
  *,
  top_k: Sequence[int] = (10, 25),
  variant: str = "code",
  firing_fraction: float | None = None,
  permutations: int = 5,
  seed: int = 0,
  subset_units: int | None = None,
  min_images: int = image_sets.MIN_IMAGES,
) -> ChanceScore:
  """Score of the same features when images are assigned to sets at random.

  Sets keep their sizes and classes. Choosing the best K of D units finds some
  invariance in random sets, too, and more of it in smaller sets: compare a
  score with this level.

  Args:
    features: [N, D] float, array or memory map.
    sets: [N], number or name of each image's set.
    classes: [N], number or name of each image's class; None makes each set a
      class.
    top_k: numbers of units, K.
    variant: "code" or "formula".
    firing_fraction: share of images on which a unit fires, between 0 and 1;
      None for the variant's default.
    permutations: number of permutations, at least 1. They share one pass over
      the features.
    seed: seed of the permutations.
    subset_units: number of units of the matched scores; None for all.
    min_images: smallest number of images of a set that counts.

  Raises:
    UsageError: an argument is out of range, see
      `score.representation_invariance_score`.
  """
  errors.require(
    permutations >= 1,
    f"permutations is {permutations}; the chance level needs at least 1",
  )
  top_k = score.checked_top_k(features, top_k)
  groups = image_sets.group(sets, classes, len(features), min_images=min_images)
  rule = firing.rule(
    variant,
    firing_fraction,
    num_images=len(features),
    num_classes=len(groups.classes),
  )
  rng = np.random.default_rng(seed)
  memberships = np.stack(
    [rng.permutation(groups.membership) for _ in range(permutations)]
  )
  fired = score.measure(features, memberships, groups, rule)
  found = [
    score.score(
      fired._replace(above=fired.above[[i]], below=fired.below[[i]]),
      groups,
      rule,
      top_k,
    )
    for i in range(permutations)
  ]
  width = features.shape[1]
  compared = [matched.at(one, subset_units or width) for one in found]
  values = {k: [one.scores[k] for one in found] for k in top_k}
  return ChanceScore(
    scores={k: float(np.mean(values[k])) for k in top_k},
    deviations={
      k: float(np.std(values[k], ddof=1)) if permutations > 1 else 0.0
      for k in top_k
    },
    matched={
      k: float(np.mean([one.scores[k] for one in compared])) for k in top_k
    },
  )
