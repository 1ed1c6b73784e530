"""How much of the gap between two models a remedy closes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.reporting import statistics

_RESAMPLES = 10_000
_LEVELS = (2.5, 97.5)  # Percentiles of a 95 % interval.


class Gap(NamedTuple):
  """A model that is expected to come closer to a reference.

  Attributes:
    remedy: name of the step that makes the model.
    plain: name of the step that makes the model without the remedy.
    reference: name of the step that makes the reference.
    measure: measure that is compared, "STEP.NAME"; more is better.
  """

  remedy: str
  plain: str
  reference: str
  measure: str


class Closed(NamedTuple):
  """Share of the gap that is closed.

  Attributes:
    gap: reference - plain, paired by seed; None without a common seed.
    share: (remedy - plain) / (reference - plain), of means over seeds; None
      where it is undefined: unless the whole interval of the gap is above 0, or
      for one seed.
    low: lower end of the 95 % interval, a paired bootstrap over seeds.
    high: upper end of that interval.
    seeds: number of common seeds.
  """

  gap: statistics.MeanInterval | None
  share: float | None
  low: float | None
  high: float | None
  seeds: int


def parse(given: Any) -> Gap:
  """A gap from its form in an experiment file.

  Args:
    given: (remedy, plain, reference, measure).

  Raises:
    UsageError: it has another form.
  """
  errors.require(
    isinstance(given, Sequence)
    and not isinstance(given, str)
    and len(given) == 4
    and all(isinstance(word, str) for word in given)
    and "." in given[3],
    f"gaps: {given!r}; expected (REMEDY, PLAIN, REFERENCE, MEASURE), such as"
    ' ("cropped", "plain", "on_objects", "objects_class.top1_percent")',
  )
  return Gap(*given)


def closed(
  remedy: Mapping[int, float],
  plain: Mapping[int, float],
  reference: Mapping[int, float],
) -> Closed:
  """Measures the share of the gap that a remedy closes.

  Args:
    remedy: {seed: value} of the model.
    plain: {seed: value} of the model without the remedy.
    reference: {seed: value} of the reference.
  """
  seeds = sorted(set(remedy) & set(plain) & set(reference))
  if not seeds:
    return Closed(None, None, None, None, 0)
  gap = statistics.paired_difference(
    {s: reference[s] for s in seeds}, {s: plain[s] for s in seeds}
  )
  if gap.low is None or gap.low <= 0:
    return Closed(gap, None, None, None, len(seeds))
  gained = np.array([remedy[s] - plain[s] for s in seeds])
  wanted = np.array([reference[s] - plain[s] for s in seeds])
  rows = np.random.default_rng(0).integers(
    len(seeds), size=[_RESAMPLES, len(seeds)]
  )
  with np.errstate(divide="ignore", invalid="ignore"):
    drawn = gained[rows].sum(1) / wanted[rows].sum(1)
  low, high = np.percentile(drawn[np.isfinite(drawn)], _LEVELS)
  share = float(gained.mean() / wanted.mean())
  return Closed(gap, share, float(low), float(high), len(seeds))
