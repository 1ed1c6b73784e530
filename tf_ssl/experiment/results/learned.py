"""Which encoders learned: the rule that an experiment states beforehand.

An ordering says nothing about methods if the encoders did not learn. An encoder
learned if its measure, such as kNN accuracy, is above that of the untrained
encoder, with the whole interval of the difference, paired by seed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.reporting import statistics


class Rule(NamedTuple):
  """The measure in which an encoder must be better than without training.

  Attributes:
    measure: measure that is compared, "STEP.NAME".
    untrained: name of the step that makes the untrained encoder.
  """

  measure: str
  untrained: str


class Learned(NamedTuple):
  """Whether an encoder learned.

  Attributes:
    learned: whether it did; None if too little is measured, that is fewer than
      two seeds of it and the untrained encoder.
    difference: encoder - untrained encoder, paired by seed; None without a
      common seed.
    seeds: number of common seeds.
  """

  learned: bool | None
  difference: statistics.MeanInterval | None
  seeds: int


def parse(given: Any) -> Rule | None:
  """A rule from its form in an experiment file; None for an empty one.

  Args:
    given: (measure, untrained), or nothing for no rule.

  Raises:
    UsageError: it has another form.
  """
  if not given:
    return None
  errors.require(
    isinstance(given, Sequence)
    and not isinstance(given, str)
    and len(given) == 2
    and all(isinstance(word, str) for word in given)
    and "." in given[0],
    f"learned: {given!r}; expected (MEASURE, UNTRAINED), such as"
    ' ("objects_knn.top1_percent", "untrained"), or () for no rule',
  )
  return Rule(*given)


def judge(
  by_model: Mapping[str, Mapping[int, float]], untrained: str
) -> dict[str, Learned]:
  """Says of each encoder whether it learned.

  Args:
    by_model: {model: {seed: value}} of the rule's measure.
    untrained: name of the untrained encoder, which is not judged.
  """
  found = {}
  reference = by_model.get(untrained, {})
  for model, by_seed in by_model.items():
    if model == untrained:
      continue
    difference = statistics.paired_difference(by_seed, reference)
    known = difference is not None and difference.low is not None
    found[model] = Learned(
      bool(difference.low > 0) if known else None,
      difference,
      len(set(by_seed) & set(reference)),
    )
  return found
