"""How many labels a pretrained model is worth.

A model reaches an accuracy with n labels for which the baseline needs n'. The
baseline's accuracy is interpolated between measured numbers of labels by PCHIP,
monotone, over their logarithm; n' / n is what the model is worth.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import interpolate, optimize

from tf_ssl.reporting import statistics

_RESAMPLES = 2000
_LEVELS = (2.5, 97.5)  # Percentiles of a 95 % interval.


class Worth(NamedTuple):
  """What a model is worth at one number of labels.

  Attributes:
    labels: n, number of labels.
    factor: n' / n; infinite where the baseline never reaches the accuracy, 0
      where it is below the baseline's at its smallest number of labels.
    low: lower end of the 95 % bootstrap interval over seeds; NaN for one seed.
    high: upper end of that interval.
  """

  labels: int
  factor: float
  low: float
  high: float


class Comparison(NamedTuple):
  """A paired test between two models.

  Attributes:
    left: name of the one model.
    right: name of the other model.
    labels: number of labels.
    difference: mean of left - right over the seeds, with its `interval`.
    p: two-sided p of the paired t test; NaN where it is undefined.
    adjusted: p after Holm's correction over all comparisons.
  """

  left: str
  right: str
  labels: int
  difference: statistics.MeanInterval
  p: float
  adjusted: float


def worth(
  labels: Sequence[int],
  baseline: np.ndarray,
  model: np.ndarray,
  *,
  seed: int = 0,
) -> list[Worth]:
  """What a model is worth at each number of labels.

  Args:
    labels: L different numbers of labels, ascending.
    baseline: [S, L] accuracies of the baseline for S seeds.
    model: [S, L] accuracies of the model for the same seeds.
    seed: seed of the bootstrap.
  """
  rng = np.random.default_rng(seed)
  count = len(baseline)
  factors = _factors(labels, baseline.mean(0), model.mean(0))
  low = high = np.full(len(labels), np.nan)
  if count > 1:
    drawn = []
    for _ in range(_RESAMPLES):
      rows = rng.integers(count, size=count)
      drawn.append(
        _factors(labels, baseline[rows].mean(0), model[rows].mean(0))
      )
    # Infinite factors are the largest: nothing is interpolated among them.
    low, high = np.percentile(drawn, _LEVELS, axis=0, method="nearest")
  return [
    Worth(int(n), *map(float, values))
    for n, *values in zip(labels, factors, low, high, strict=True)
  ]


def _factors(labels, baseline, model) -> np.ndarray:
  """[L] factors for mean accuracies [L] of both."""
  logs = np.log(np.asarray(labels, np.float64))
  # More labels never hurt but by chance.
  reached = np.maximum.accumulate(baseline)
  if len(logs) == 1:
    return np.where(model > reached, np.inf, np.where(model == reached, 1, 0))
  curve = interpolate.PchipInterpolator(logs, reached)
  found = []
  for log, accuracy in zip(logs, model, strict=True):
    if accuracy > reached[-1]:
      found.append(np.inf)
    elif accuracy < reached[0]:
      found.append(0.0)
    else:
      # The first number of labels that reaches it.
      right = int(np.argmax(reached >= accuracy))
      place = logs[right]
      if reached[right] > accuracy:
        place = _crossing(curve, accuracy, logs[right - 1], logs[right])
      found.append(np.exp(place - log))
  return np.array(found)


def _crossing(curve, accuracy: float, low: float, high: float) -> float:
  """Where an increasing curve reaches an accuracy between two points.

  Rounding may put the curve beside the points that it was fitted to, so that an
  accuracy next to one of them is not between its values there.
  """
  if curve(low) >= accuracy:
    return low
  if curve(high) <= accuracy:
    return high
  return optimize.brentq(lambda x: curve(x) - accuracy, low, high)


def interval(values: Sequence[float]) -> statistics.MeanInterval:
  """Mean over seeds with its 95 % interval.

  Without an interval where all seeds agree: of a frozen model with all labels
  the seeds draw nothing, so that they say nothing about its spread.

  Args:
    values: accuracies in percent, or differences, one for each seed.
  """
  found = statistics.mean_interval(values)
  return found if np.ptp(values) else found._replace(low=None, high=None)


def compare(
  labels: Sequence[int],
  accuracies: Mapping[str, np.ndarray],
  pairs: Sequence[tuple[str, str]],
) -> list[Comparison]:
  """Paired t tests over seeds, with Holm's correction over all of them.

  Args:
    labels: L numbers of labels.
    accuracies: {model: [S, L] accuracies for the same S seeds}.
    pairs: models to compare.
  """
  found = []
  for left, right in pairs:
    differences = accuracies[left] - accuracies[right]  # [S, L]
    for place, number in enumerate(labels):
      column = differences[:, place]
      found.append(
        Comparison(
          left,
          right,
          int(number),
          interval(column),
          _p(column),
          np.nan,
        )
      )
  adjusted = statistics.holm([each.p for each in found])
  return [
    each._replace(adjusted=p) for each, p in zip(found, adjusted, strict=True)
  ]


def _p(differences: np.ndarray) -> float:
  if differences[0] and not differences.std():
    return float("nan")  # All equal: no spread to compare with.
  return statistics.p_value(differences)


def sentence(name: str, found: Worth, *, total: int) -> str:
  """What a model is worth, in plain words.

  Args:
    name: name of the model.
    found: worth of the model at one number of labels.
    total: largest number of labels of the baseline.
  """
  at = f"with {found.labels:,} labels, {name}"
  if np.isinf(found.factor):
    return (
      f"{at} is better than random weights with all {total:,} labels: it is"
      f" worth more than {total / found.labels:.1f}x the labels{_ends(found)}"
    )
  if not found.factor:
    return (
      f"{at} is worse than random weights with the fewest labels{_ends(found)}"
    )
  return f"{at} is worth {found.factor:.1f}x the labels{_ends(found)}"


def verdict(each: Comparison) -> str:
  """Result of a paired test, in plain words."""
  mean, low, high = each.difference
  points = f"{abs(mean):.1f}"
  text = f"with {each.labels:,} labels, {each.left}"
  if float(points):
    text += f" is {points} points {'better' if mean > 0 else 'worse'} than"
    text += f" {each.right}"
  else:
    text += f" and {each.right} are {points} points apart"
  if low is None:
    return f"{text} (no spread over seeds: no test)"
  text += f" ({low:+.1f}..{high:+.1f})"
  if np.isnan(each.adjusted):
    return text
  if each.adjusted < 0.05:
    return f"{text}, p = {each.adjusted:.2g} after Holm's correction"
  return (
    f"{text}, which is no significant difference (p = {each.adjusted:.2g} after"
    " Holm's correction)"
  )


def _ends(found: Worth) -> str:
  if np.isnan(found.low):
    return " (one seed: no interval)"
  if found.factor in (0, np.inf) and found.low == found.high == found.factor:
    return ", at both ends of the interval, too"
  ends = [
    "more than all" if np.isinf(end) else f"{end:.1f}x"
    for end in (found.low, found.high)
  ]
  return f" ({ends[0]}..{ends[1]})"
