"""Expected orderings of models, and verdicts from the measured numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.reporting import statistics

CONFIRMED = "confirmed"
REVERSED = "reversed"
NOT_SIGNIFICANT = "not significant"
NOT_LEARNED = "not learned"
NOT_MEASURED = "not measured"
VERDICTS = (CONFIRMED, REVERSED, NOT_SIGNIFICANT, NOT_LEARNED, NOT_MEASURED)
RELATIONS = (">", "<", ">=")
LEVEL = 1 - statistics.CONFIDENCE  # Of the tests.


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
    p: two-sided p of the paired t test; NaN for fewer than two common seeds.
  """

  ordering: Ordering
  verdict: str
  left: statistics.MeanInterval | None
  right: statistics.MeanInterval | None
  difference: statistics.MeanInterval | None
  seeds: int
  p: float


def parse(
  given: Any,
  *,
  setting: str = "orderings",
  relations: Sequence[str] = RELATIONS,
) -> Ordering:
  """An ordering from its form in an experiment file.

  Args:
    given: (left, relation, right, measure) or the four and a finding.
    setting: name of the setting, for the error.
    relations: relations that it may have.

  Raises:
    UsageError: it has another form.
  """
  errors.require(
    isinstance(given, Sequence)
    and not isinstance(given, str)
    and len(given) in (4, 5)
    and all(isinstance(word, str) for word in given)
    and given[1] in relations
    and "." in given[3],
    f"{setting}: {given!r}; expected (LEFT, RELATION, RIGHT, MEASURE), or that"
    f" and a finding; RELATION is one of {', '.join(relations)}, MEASURE such"
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
  seeds = sorted(set(left) & set(right))
  p = statistics.p_value([left[seed] - right[seed] for seed in seeds])
  return Judgment(ordering, verdict, *means, difference, len(seeds), p)


def corrected(
  verdict: str, difference: statistics.MeanInterval | None, p: float
) -> str:
  """The verdict after Holm's correction.

  Args:
    verdict: verdict without the correction.
    difference: difference of the models.
    p: p of the ordering after the correction.
  """
  # A difference of 0 in every seed confirms ">=" at any level.
  is_exact = difference is not None and difference.low == difference.high
  if verdict not in (CONFIRMED, REVERSED) or is_exact or p <= LEVEL:
    return verdict
  return NOT_SIGNIFICANT


def _verdict(relation: str, difference: statistics.MeanInterval) -> str:
  low, high = difference.low, difference.high
  if low is None:
    return NOT_SIGNIFICANT
  if relation == "<":
    low, high = -high, -low
  if low > 0 or (relation == ">=" and low >= 0):
    return CONFIRMED
  return REVERSED if high < 0 else NOT_SIGNIFICANT
