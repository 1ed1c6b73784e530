"""Expected orderings of models, and verdicts from the measured numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.reporting import statistics

CONFIRMED = "confirmed"
REVERSED = "reversed"
NOT_SIGNIFICANT = "not significant"
NOT_MEASURED = "not measured"
VERDICTS = (CONFIRMED, REVERSED, NOT_SIGNIFICANT, NOT_MEASURED)
RELATIONS = (">", "<", ">=")


class Ordering(NamedTuple):
  """One model is expected to be above, or below, another.

  Attributes:
    left: name of the step that makes the left model.
    relation: one of `RELATIONS`.
    right: name of the step that makes the right model.
    measure: measure that is compared, "STEP.NAME".
    finding: explanation where the ordering is not confirmed; may be empty.
  """

  left: str
  relation: str
  right: str
  measure: str
  finding: str = ""


class Judgment(NamedTuple):
  """An ordering with its verdict.

  Attributes:
    ordering: the ordering.
    verdict: one of `VERDICTS`.
    left: mean of the left model over seeds; None if it was not measured.
    right: mean of the right model over seeds; None if it was not measured.
    difference: left - right, paired by seed; None without a common seed.
    seeds: number of common seeds.
  """

  ordering: Ordering
  verdict: str
  left: statistics.MeanInterval | None
  right: statistics.MeanInterval | None
  difference: statistics.MeanInterval | None
  seeds: int


def parse(given: Any) -> Ordering:
  """An ordering from its form in an experiment file.

  Args:
    given: (left, relation, right, measure) or the four and a finding.

  Raises:
    UsageError: it has another form.
  """
  errors.require(
    isinstance(given, Sequence)
    and not isinstance(given, str)
    and len(given) in (4, 5)
    and all(isinstance(word, str) for word in given)
    and given[1] in RELATIONS
    and "." in given[3],
    f"orderings: {given!r}; expected (LEFT, RELATION, RIGHT, MEASURE), or that"
    f" and a finding; RELATION is one of {', '.join(RELATIONS)}, MEASURE such"
    ' as "rendered.viewpoint_top10"',
  )
  return Ordering(*given)


def judge(
  ordering: Ordering, left: Mapping[int, float], right: Mapping[int, float]
) -> Judgment:
  """The verdict on an ordering.

  ">" and "<" are confirmed if the whole interval of the paired difference is on
  their side of 0, ">=" if no part of it is below 0. They are reversed if the
  whole interval is on the other side. With a single seed, no difference is
  significant.

  Args:
    ordering: expected ordering.
    left: {seed: value} of the left model.
    right: {seed: value} of the right model.
  """
  means = [
    statistics.mean_interval(list(values.values())) if values else None
    for values in (left, right)
  ]
  difference = statistics.paired_difference(left, right)
  verdict = NOT_MEASURED
  if difference is not None:
    verdict = _verdict(ordering.relation, difference)
  seeds = len(set(left) & set(right))
  return Judgment(ordering, verdict, *means, difference, seeds)


def _verdict(relation: str, difference: statistics.MeanInterval) -> str:
  low, high = difference.low, difference.high
  if low is None:
    return NOT_SIGNIFICANT
  if relation == "<":
    low, high = -high, -low
  if low > 0 or (relation == ">=" and low >= 0):
    return CONFIRMED
  return REVERSED if high < 0 else NOT_SIGNIFICANT
