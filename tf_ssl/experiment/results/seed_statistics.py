"""Means over seeds, and how far they may be trusted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tf_ssl.reporting import statistics

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
  found = statistics.mean_interval(values, confidence=confidence)
  return Estimate(*found, count=len(values))


def within_unit(estimate: Estimate, unit: str) -> Estimate:
  """An interval that ends where the quantity does, percentages at 0 and 100."""
  if unit != "%" or estimate.low is None:
    return estimate
  return estimate._replace(
    low=max(estimate.low, 0.0), high=min(estimate.high, 100.0)
  )


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
