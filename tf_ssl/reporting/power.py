"""Power of paired t tests over seeds, and the seeds that they need. SciPy.

The effect is the mean paired difference divided by the standard deviation of
the differences. With n seeds, t has a noncentral t distribution with n - 1
degrees of freedom and noncentrality effect * sqrt(n).
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from tf_ssl import errors

POWER = 0.8
LEVEL = 0.05  # Of two-sided tests.
MOST_SEEDS = 10_000
_DRAWS = 10_000  # Of the tests of a table; standard error of a power 0.004.


class EffectInterval(NamedTuple):
  """A confidence interval of an effect.

  Attributes:
    low: lower end.
    high: upper end.
  """

  low: float
  high: float


def power(effect: float, seeds: int, *, level: float = LEVEL) -> float:
  """Probability that a two-sided paired t test finds a difference.

  Args:
    effect: mean difference / standard deviation of the differences; may be
      infinite.
    seeds: number of pairs, at least 2.
    level: level of the test.
  """
  if math.isinf(effect):
    return 1.0
  critical = stats.t.isf(level / 2, seeds - 1)
  shift = abs(effect) * math.sqrt(seeds)
  tails = (
    stats.nct.sf(critical, seeds - 1, shift),
    stats.nct.cdf(-critical, seeds - 1, shift),
  )
  return float(min(sum(tails), 1.0))


def seeds_needed(
  effect: float, *, target: float = POWER, level: float = LEVEL
) -> int | None:
  """Smallest number of seeds with the target power in a paired t test.

  Args:
    effect: mean difference / standard deviation of the differences.
    target: power to reach, between 0 and 1.
    level: level of the two-sided test.

  Returns:
    At least 2; None if `MOST_SEEDS` are not enough.
  """
  return _smallest(lambda n: power(effect, n, level=level), target)


def seeds_needed_with_holm(
  effects: Sequence[float],
  *,
  target: float = POWER,
  level: float = LEVEL,
  only: int | None = None,
  seed: int = 0,
) -> list[int | None]:
  """Smallest number of seeds for each of several tests with Holm's correction.

  Whether Holm's procedure rejects a hypothesis depends on the other tests. The
  t values of all are drawn, independent of each other, from their noncentral t
  distributions. The result lies between the number without correction and the
  number at level / m (Bonferroni) for m tests.

  Args:
    effects: effect of each of the m tests; NaN for a test without an effect,
      which does not count.
    target: power to reach, between 0 and 1.
    level: family-wise level.
    only: index of the one test whose number is wanted; None for all.
    seed: seed of the draws.

  Returns:
    [m]; None where `MOST_SEEDS` are not enough, the effect is NaN, or the
    number is not wanted.
  """
  effects = np.asarray(effects, np.float64)
  known = np.flatnonzero(~np.isnan(effects))
  found: list[int | None] = [None] * len(effects)

  @functools.cache
  def powers(seeds: int) -> np.ndarray:
    rng = np.random.default_rng([seed, seeds])
    return _powers_with_holm(effects[known], seeds, level, rng)

  for place, which in enumerate(known.tolist()):
    if only not in (None, which):
      continue
    fewest = seeds_needed(effects[which], target=target, level=level)
    if fewest is None:
      continue
    bonferroni = seeds_needed(
      effects[which], target=target, level=level / len(known)
    )
    found[which] = _smallest(
      lambda n, place=place: powers(n)[place],
      target,
      first=fewest,
      last=bonferroni or MOST_SEEDS,
      surely=bonferroni is not None,
    )
  return found


def effect_interval(
  effect: float, seeds: int, *, confidence: float
) -> EffectInterval:
  """Confidence interval of an effect that was measured with few seeds.

  The ends are the effects with which t would be at least, or at most, as large
  as measured with probability (1 - confidence) / 2.

  Args:
    effect: measured mean difference / standard deviation.
    seeds: number of pairs, at least 2.
    confidence: confidence level, between 0 and 1.

  Raises:
    UsageError: there are fewer than 2 seeds.
  """
  errors.require(
    seeds >= 2, f"the effect of {seeds} seeds; expected 2 or more seeds"
  )
  if math.isinf(effect):
    return EffectInterval(effect, effect)
  root = math.sqrt(seeds)
  low, high = (
    float(special.nctdtrinc(seeds - 1, p, effect * root)) / root
    for p in ((1 + confidence) / 2, (1 - confidence) / 2)
  )
  return EffectInterval(low, high)


def _smallest(
  reached: Callable[[int], float],
  target: float,
  *,
  first: int = 2,
  last: int = MOST_SEEDS,
  surely: bool = False,
) -> int | None:
  """First number from first..last that reaches the target; None if none does.

  Args:
    reached: power as a function of the number of seeds, increasing.
    target: power to reach.
    first: smallest number to try.
    last: largest number to try.
    surely: whether `last` is known to reach the target.
  """
  if not surely and reached(last) < target:
    return None
  while first < last:
    middle = (first + last) // 2
    if reached(middle) < target:
      first = middle + 1
    else:
      last = middle
  return last


def _powers_with_holm(
  effects: np.ndarray, seeds: int, level: float, rng: np.random.Generator
) -> np.ndarray:
  """[m] shares of draws in which Holm's procedure rejects each hypothesis."""
  count = len(effects)
  means = rng.standard_normal([_DRAWS, count]) + effects * math.sqrt(seeds)
  spread = np.sqrt(rng.chisquare(seeds - 1, [_DRAWS, count]) / (seeds - 1))
  size = np.abs(means / spread)
  order = np.argsort(-size, axis=1)
  levels = level / (2 * np.arange(count, 0, -1))
  above = np.take_along_axis(size, order, 1) > stats.t.isf(levels, seeds - 1)
  rejected = np.logical_and.accumulate(above, axis=1)
  return np.bincount(order[rejected], minlength=count) / _DRAWS
