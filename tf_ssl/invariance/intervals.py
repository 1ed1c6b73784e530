"""How sure an invariance score is: the bootstrap over sets.

What is resampled: within each class its sets, with replacement, as many as
there are. Where every class has one set (each set its own class) that would
change nothing, and the classes are resampled instead, their scores as they
are. Of classes with a single set beside classes with several, the former
contribute no variation.

What is not: the thresholds and global firing rates stay those of all images.
They hang on all N images and move little; the sets within a class are few.

The K units are chosen anew in each resample, for the choice is part of the
statistic. The best K of D units by a noisy measure look better than they are,
and those of a resample, twice noisy, better again: resampled scores lie above
the score, often all of them, and their percentiles miss it. So the interval is
the score plus the percentiles of the resampled scores' deviations from *their*
mean; the shift of that mean is reported as `bias`.

What the interval covers is the score that as many other sets of the same kind
would give on average, not that of very many sets, which lies lower: by more,
the fewer sets to a class and the more units; `bias` is of that order. Compare
scores of the same sets, or of as many to a class. benchmarks/
invariance_intervals.py draws sets anew 250 times, 5, 10 and 30 to a class: 95 %
intervals held that average in 95 to 100 % of cases, those of plain percentiles
in 0 to 21 %, and the reflected ("basic") ones, which aim at very many sets,
held that limit in 10 to 100 %.
"""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import resampling
from tf_ssl.invariance import score as invariance


class Interval(NamedTuple):
  """An estimate and what other sets might have given.

  Attributes:
    estimate: percent, or a difference of two percentages.
    low: lower end of the interval.
    high: upper end.
    bias: mean over resamples minus the estimate: what choosing the K units once
      more, from noisier measurements, adds. Already taken off low and high.
  """

  estimate: float
  low: float
  high: float
  bias: float


def intervals(
  score: invariance.InvarianceScore,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> dict[int, Interval]:
  """Confidence intervals of a model's scores, over sets.

  Args:
    score: from `representation_invariance_score`; the features are not needed.
    resamples: R, at least 2.
    confidence: between 0 and 1.
    seed: of the resamples.

  Returns:
    {K: Interval} in percent, kept within 0..100.

  Raises:
    UsageError: resamples or confidence out of range, or a single set.
  """
  low, high = _tails(resamples, confidence)
  drawn = resampling.replicates(score, resamples=resamples, seed=seed)
  return {
    k: _centered(score.scores[k], drawn[k], low, high, (0.0, 100.0))
    for k in score.scores
  }


def differences(
  score: invariance.InvarianceScore,
  other: invariance.InvarianceScore,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> dict[int, Interval]:
  """How much more invariant one model is than another, on the same sets.

  Paired: each resample takes the same sets for both models, so that sets which
  are hard for both do not blur the difference.

  Args:
    score: of the one model.
    other: of the other; its units may be more or fewer.
    resamples: R, at least 2.
    confidence: between 0 and 1.
    seed: of the resamples.

  Returns:
    {K: Interval} of score - other, in percentage points, for each K of both.

  Raises:
    UsageError: the sets, classes, variants, firing fractions or all K of the
      two differ; or as `intervals`.
  """
  low, high = _tails(resamples, confidence)
  _check_pair(score, other)
  drawn = resampling.replicates(score, resamples=resamples, seed=seed)
  others = resampling.replicates(other, resamples=resamples, seed=seed)
  return {
    k: _centered(
      score.scores[k] - other.scores[k],
      drawn[k] - others[k],
      low,
      high,
      (-100.0, 100.0),
    )
    for k in score.scores
    if k in other.scores
  }


def _centered(
  estimate: float,
  drawn: np.ndarray,
  low: float,
  high: float,
  limits: tuple[float, float],
) -> Interval:
  lower, upper = np.quantile(drawn, (low, high))
  bias = float(drawn.mean() - estimate)
  ends = np.clip([lower - bias, upper - bias], *limits)
  return Interval(float(estimate), float(ends[0]), float(ends[1]), bias)


def _tails(resamples: int, confidence: float) -> tuple[float, float]:
  if resamples < 2 or not 0 < confidence < 1:
    raise errors.UsageError(
      f"resamples is {resamples} and confidence {confidence}; expected at "
      "least 2 resamples and a confidence between 0 and 1, such as 0.95"
    )
  return (1 - confidence) / 2, (1 + confidence) / 2


def _check_pair(
  score: invariance.InvarianceScore, other: invariance.InvarianceScore
) -> None:
  same_sets = all(
    np.array_equal(getattr(score.sets, name), getattr(other.sets, name))
    for name in ("ids", "sizes", "set_classes", "classes")
  )
  if not same_sets:
    raise errors.UsageError(
      f"the two models were measured on different sets ({len(score.sets.ids)} "
      f"and {len(other.sets.ids)} sets); a paired difference needs the same "
      "images in the same sets"
    )
  for name in ("variant", "firing_fraction"):
    if getattr(score, name) != getattr(other, name):
      raise errors.UsageError(
        f"the two models were measured with {name} {getattr(score, name)} and "
        f"{getattr(other, name)}; measure both with the same"
      )
  if not set(score.scores) & set(other.scores):
    raise errors.UsageError(
      f"the two models were measured with top_k {tuple(score.scores)} and "
      f"{tuple(other.scores)}; measure both with the same"
    )
