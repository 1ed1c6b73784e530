"""Orderings that an experiment is to show, and what its numbers say of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.experiment.results import seed_statistics

SHOWN = "shown"
OPPOSITE = "opposite"
UNDECIDED = "undecided at this size"
NOT_MEASURED = "not measured"
VERDICTS = (SHOWN, OPPOSITE, UNDECIDED, NOT_MEASURED)
RELATIONS = (">", "<", ">=")


class Ordering(NamedTuple):
  """One model is expected to be above, or below, another.

  Attributes:
    left: name of the step that makes the one.
    relation: one of `RELATIONS`.
    right: the other.
    measure: "STEP.NAME" of what is compared.
    finding: what was found out where it does not come out; may be empty.
  """

  left: str
  relation: str
  right: str
  measure: str
  finding: str = ""


class Judgment(NamedTuple):
  """An ordering and what came out.

  Attributes:
    ordering: the ordering.
    verdict: one of `VERDICTS`.
    left: the left model's mean over seeds; None if it was not measured.
    right: likewise.
    difference: left - right, paired by seed.
  """

  ordering: Ordering
  verdict: str
  left: seed_statistics.Estimate | None
  right: seed_statistics.Estimate | None
  difference: seed_statistics.Estimate | None


def parse(given: Any) -> Ordering:
  """An ordering as an experiment file has it.

  Args:
    given: (left, relation, right, measure), or with a finding as the fifth.

  Raises:
    UsageError: it is something else.
  """
  if (
    not isinstance(given, Sequence)
    or isinstance(given, str)
    or len(given) not in (4, 5)
    or not all(isinstance(word, str) for word in given)
    or given[1] not in RELATIONS
    or "." not in given[3]
  ):
    raise errors.UsageError(
      f"orderings: {given!r}; expected (LEFT, RELATION, RIGHT, MEASURE), or"
      f" that and a finding; RELATION is one of {', '.join(RELATIONS)}, MEASURE"
      ' such as "rendered.viewpoint_top10"'
    )
  return Ordering(*given)


def judge(
  ordering: Ordering, left: Mapping[int, float], right: Mapping[int, float]
) -> Judgment:
  """Says whether the numbers show an ordering.

  ">" and "<" are shown where the whole interval of the paired difference lies
  on their side of 0, ">=" where no part of it lies below 0; they are opposite
  where the whole interval lies beyond 0. A single seed decides nothing.

  Args:
    ordering: what is expected.
    left: from seeds to the left model's values.
    right: likewise.
  """
  estimates = [
    seed_statistics.t_interval(list(values.values())) if values else None
    for values in (left, right)
  ]
  difference = seed_statistics.paired(left, right)
  verdict = NOT_MEASURED
  if difference is not None:
    verdict = _verdict(ordering.relation, difference)
  return Judgment(ordering, verdict, *estimates, difference)


def _verdict(relation: str, difference: seed_statistics.Estimate) -> str:
  low, high = difference.low, difference.high
  if low is None:
    return UNDECIDED
  if relation == "<":
    low, high = -high, -low
  if low > 0 or (relation == ">=" and low >= 0):
    return SHOWN
  return OPPOSITE if high < 0 else UNDECIDED
