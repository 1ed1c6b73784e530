"""Means over seeds, and how far they may be trusted."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


class Estimate(NamedTuple):
  """A mean over seeds.

  Attributes:
    mean: of them.
    low: lower end of the interval; None for a single seed.
    high: upper end.
    count: how many seeds.
  """

  mean: float
  low: float | None
  high: float | None
  count: int


def t_interval(
  values: Sequence[float], *, confidence: float = CONFIDENCE
) -> Estimate:
  """The mean and Student's interval for it.

  Args:
    values: one for each seed, at least one; taken as independent and normal.
    confidence: between 0 and 1.
  """
  values = np.asarray(values, np.float64)
  mean, count = float(values.mean()), len(values)
  if count < 2:
    return Estimate(mean, None, None, count)
  error = float(values.std(ddof=1)) / math.sqrt(count)
  reach = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error
  return Estimate(mean, mean - reach, mean + reach, count)


def paired(
  left: Mapping[int, float],
  right: Mapping[int, float],
  *,
  confidence: float = CONFIDENCE,
) -> Estimate | None:
  """The difference, seed by seed: what a seed does to both cancels.

  Args:
    left: from seeds to values.
    right: the same; seeds that the other lacks are left out.
    confidence: of the interval.

  Returns:
    Of left - right; None where they share no seed.
  """
  shared = sorted(set(left) & set(right))
  if not shared:
    return None
  return t_interval(
    [left[seed] - right[seed] for seed in shared], confidence=confidence
  )
