"""The invariance score of sets that mean nothing. NumPy only."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import firing_rule, image_sets, score


class ChanceScore(NamedTuple):
  """The score of sets that mean nothing.

  Attributes:
    scores: {K: percent}, mean over permutations.
    deviations: {K: percent}, standard deviation over permutations; 0 for one.
  """

  scores: dict[int, float]
  deviations: dict[int, float]


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
) -> ChanceScore:
  """The score that these features would have if sets did not matter.

  The images are dealt anew, at random, to sets of the same sizes and classes.
  Choosing the best K of D units finds some invariance even so, and more the
  smaller the sets: that is the level to compare a score with.

  Args:
    features: as for `representation_invariance_score`, like all up to
      `firing_fraction`.
    sets: [N].
    classes: [N] or None.
    top_k: numbers of units.
    variant: "code" or "formula".
    firing_fraction: between 0 and 1.
    permutations: how often, at least 1. The features are read once.
    seed: of the permutations.

  Returns:
    A ChanceScore.

  Raises:
    UsageError: as `representation_invariance_score`, and for permutations < 1.
  """
  if permutations < 1:
    raise errors.UsageError(
      f"permutations is {permutations}; the chance level needs at least 1"
    )
  top_k = score.checked_top_k(features, top_k)
  groups = image_sets.group(sets, classes, len(features))
  rule = firing_rule.rule(
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
    ).scores
    for i in range(permutations)
  ]
  values = {k: [scores[k] for scores in found] for k in top_k}
  return ChanceScore(
    scores={k: float(np.mean(values[k])) for k in top_k},
    deviations={
      k: float(np.std(values[k], ddof=1)) if permutations > 1 else 0.0
      for k in top_k
    },
  )
