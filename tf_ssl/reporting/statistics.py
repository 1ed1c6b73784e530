"""Means over repetitions: Student's t intervals, tests, Holm's correction."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from tf_ssl import errors

CONFIDENCE = 0.95  # Of all intervals in reports unless a setting changes it.


class MeanInterval(NamedTuple):
  """A mean with its confidence interval.

  Attributes:
    mean: mean over the repetitions.
    low: lower end of the interval; None for a single repetition.
    high: upper end of the interval; None for a single repetition.
  """

  mean: float
  low: float | None
  high: float | None


def mean_interval(
  values: Sequence[float], *, confidence: float = CONFIDENCE
) -> MeanInterval:
  """Mean and Student's t interval of the mean.

  The interval assumes independent, normally distributed repetitions. Those that
  share images, such as several splits of one dataset, vary less than new images
  would: their interval covers the variation of the split alone.

  Args:
    values: finite results, one per repetition, such as one per seed.
    confidence: confidence level, between 0 and 1.

  Raises:
    UsageError: there is no value, or the confidence is out of range.
  """
  values = np.asarray(values, np.float64)
  errors.require(
    values.size and 0 < confidence < 1,
    f"got {values.size} repetitions and a confidence of {confidence}; "
    "expected at least one repetition and a confidence between 0 and 1",
  )
  mean = float(values.mean())
  if values.size == 1:
    return MeanInterval(mean, None, None)
  error = float(values.std(ddof=1)) / np.sqrt(values.size)
  half = float(stats.t.ppf((1 + confidence) / 2, values.size - 1)) * error
  return MeanInterval(mean, mean - half, mean + half)


def paired_difference(
  left: Mapping[int, float],
  right: Mapping[int, float],
  *,
  confidence: float = CONFIDENCE,
) -> MeanInterval | None:
  """Mean of left - right over the seeds that both have.

  Pairing cancels whatever a seed does to both sides.

  Args:
    left: {seed: value} of the one side.
    right: {seed: value} of the other side.
    confidence: confidence level of the interval, between 0 and 1.

  Returns:
    The mean difference with its interval; None without a common seed.
  """
  shared = sorted(set(left) & set(right))
  if not shared:
    return None
  differences = [left[seed] - right[seed] for seed in shared]
  return mean_interval(differences, confidence=confidence)


def p_value(values: Sequence[float]) -> float:
  """Two-sided p of Student's t test that the mean of the values is 0.

  It is below 0.05 where the 95 % interval of `mean_interval` excludes 0: values
  that are all equal have a p of 0, or of 1 if they are 0.

  Args:
    values: finite values, such as paired differences, one per seed.

  Returns:
    p, 0..1; NaN for fewer than two values.
  """
  values = np.asarray(values, np.float64)
  if values.size < 2:
    return float("nan")
  if not values.std():
    return 0.0 if values[0] else 1.0
  return float(stats.ttest_1samp(values, 0.0).pvalue)


def holm(values: Sequence[float]) -> list[float]:
  """Holm's step-down correction of p values; NaN is left out and remains NaN.

  If hypotheses with a corrected p of at most 0.05 are rejected, the probability
  that any is rejected falsely is at most 0.05, however the tests depend on each
  other.
  """
  values = np.asarray(values, np.float64)
  found = np.full(len(values), np.nan)
  known = np.flatnonzero(~np.isnan(values))
  largest = 0.0
  for rank, place in enumerate(known[np.argsort(values[known])].tolist()):
    largest = max(largest, (len(known) - rank) * values[place])
    found[place] = min(largest, 1.0)
  return found.tolist()


def within_unit(interval: MeanInterval, unit: str) -> MeanInterval:
  """The interval cut to the range of its unit: 0 to 100 for "%"."""
  if unit != "%" or interval.low is None:
    return interval
  return interval._replace(
    low=max(interval.low, 0.0), high=min(interval.high, 100.0)
  )
