"""Scores of models of different width, matched. NumPy and SciPy only.

The best K of many units look better than the best K of few. A matched score is
the score of the best K of m units: the mean over all subsets of m of a model's
units. Its exact value follows from the ranks of the units: the unit of rank j
is among the best K of a subset if the subset has it and fewer than K better
ones, with a hypergeometric probability.
"""

import numpy as np
from scipy import stats

from tf_ssl import errors
from tf_ssl.invariance import score as score_lib

_NEGLIGIBLE = 1e-7  # Total weight of the ranks that are left out.


def at(
  score: score_lib.InvarianceScore, num_units: int
) -> score_lib.InvarianceScore:
  """The score of `num_units` of a model's units.

  Args:
    score: score of all units.
    num_units: number of units m in a subset, from the largest K to their
      number; commonly that of the narrowest model.

  Returns:
    `score` with the means over all subsets as `scores` and `class_scores`, and
    their `subset_units`; its other parts are those of all units. The score
    itself if the model has no more than `num_units`.

  Raises:
    UsageError: there are fewer than K units in a subset, or more than units.
  """
  width = len(score.rates)
  errors.require(
    max(score.scores) <= num_units <= width,
    f"num_units is {num_units}; expected {max(score.scores)} (the largest K) to"
    f" {width} (the number of units)",
  )
  if num_units == width:
    return score
  measured = score.sets.sets_of_class > 0
  ranked = -np.sort(-score.unit_invariance.astype(np.float64), axis=1)  # [C, D]
  means = {}
  for k in score.scores:
    shares = weights(width, num_units, k)
    means[k] = np.where(measured, ranked[:, : len(shares)] @ shares, 0.0)
  counted = slice(None) if score.variant == "code" else measured
  return score._replace(
    scores={k: float(np.mean(values[counted])) for k, values in means.items()},
    class_scores=means,
    subset_units=num_units,
  )


def weights(width: int, num_units: int, k: int) -> np.ndarray:
  """Weight of each rank in the mean of the best K of a random subset.

  Args:
    width: number of units, D.
    num_units: number of units in the subset, m, from k to D.
    k: number of units in the mean, K.

  Returns:
    [r] float64, sum 1, for the r best units, best first; the others together
    have less than 1e-7, which the last one bears.
  """
  better = np.arange(width)  # Units that are better than the one of this rank.
  inside = stats.hypergeom.cdf(k - 1, width - 1, better, num_units - 1)
  found = inside * num_units / width / k
  number = 1 + int(np.searchsorted(np.cumsum(found), 1 - _NEGLIGIBLE))
  found = found[:number]
  found[-1] += 1 - found.sum()
  return found
