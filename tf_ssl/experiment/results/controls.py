"""Controls: comparisons whose outcome is known, which check the experiment.

A positive control, such as MoCo with color jitter > MoCo without it in
invariance to color, must be confirmed. A negative one must show no significant
difference: "=" of a model and itself compares the first half of its seeds with
the second. At a confidence of 95 %, a negative control fails by chance in one
of 20 cases.
"""

from collections.abc import Mapping

from tf_ssl.experiment.results import orderings

EQUAL = "="
PASSED, FAILED = "passed", "failed"
RELATIONS = (*orderings.RELATIONS, EQUAL)


def judge(
  control: orderings.Ordering,
  left: Mapping[int, float],
  right: Mapping[int, float],
) -> orderings.Judgment:
  """The outcome of a control.

  Args:
    control: expected ordering, or `EQUAL` of two models or of one.
    left: {seed: value} of the left model.
    right: {seed: value} of the right model.

  Returns:
    A judgment whose verdict is `PASSED`, `FAILED` or `orderings.NOT_MEASURED`,
    which a control without an interval is, too.
  """
  if control.left == control.right:
    left, right = _halves(left)
  # The relation decides nothing but the verdict.
  tested = control
  if control.relation == EQUAL:
    tested = control._replace(relation=">")
  judged = orderings.judge(tested, left, right)
  if judged.seeds < 2:
    verdict = orderings.NOT_MEASURED
  else:
    wanted = orderings.CONFIRMED
    if control.relation == EQUAL:
      wanted = orderings.NOT_SIGNIFICANT
    verdict = PASSED if judged.verdict == wanted else FAILED
  return judged._replace(ordering=control, verdict=verdict)


def _halves(
  by_seed: Mapping[int, float],
) -> tuple[dict[int, float], dict[int, float]]:
  """The values of the first half of the seeds and of the second, as pairs."""
  seeds = sorted(by_seed)
  half = len(seeds) // 2
  first, second = seeds[:half], seeds[half : 2 * half]
  return (
    {number: by_seed[seed] for number, seed in enumerate(first)},
    {number: by_seed[seed] for number, seed in enumerate(second)},
  )
