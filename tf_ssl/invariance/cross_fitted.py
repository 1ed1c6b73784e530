"""The cross-fitted score: units chosen on some sets, scored on others. NumPy.

A score chooses the best K units and measures them on the same sets, so that
they look better than they are. Here the sets of each class are split in halves:
the K units are chosen on one half, with the sign with which they fire more, and
scored on the other, and the reverse. What the choice made of chance does not
recur on the other half: features that know nothing score the rate p at which
the chosen units fire on all other images, which is the chance level.

As in the score, variant "formula" counts all sets of the scoring half, and
variant "code" those in which a unit fires at all; a unit that fires in none of
them does not count, nor does a class in which no chosen unit fires. Of sets of
n images, chance is p / (1 - (1 - p)^n) then.
"""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.invariance import score as score_lib


class CrossFitted(NamedTuple):
  """The cross-fitted score of one model.

  Attributes:
    scores: {K: percent}, mean over classes and splits of the invariance of the
      K units on the sets that did not choose them.
    chance: {K: percent}, the same for images at random: from the rate at which
      these units fire on all images but those of the sets that chose them.
    intervals: {K: Interval}, bootstrap over sets of the linearized score; units
      are not chosen again.
    num_classes: number of classes with two sets or more; others are excluded.
  """

  scores: dict[int, float]
  chance: dict[int, float]
  intervals: dict[int, intervals_lib.Interval]
  num_classes: int


def cross_fitted(
  score: score_lib.InvarianceScore,
  *,
  splits: int = 20,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> CrossFitted | None:
  """Computes the cross-fitted score from the counts of a score.

  Args:
    score: score of the model.
    splits: number of random splits of each class, at least 1.
    resamples: number of resamples of the intervals, at least 2.
    confidence: confidence level of the intervals, between 0 and 1.
    seed: seed of splits and resamples.

  Returns:
    The score; None if no class has two sets.

  Raises:
    UsageError: splits, resamples or confidence are out of range.
  """
  errors.require(splits >= 1, f"splits is {splits}; expected at least 1")
  tails = intervals_lib.tails(resamples, confidence)
  classes = np.flatnonzero(score.sets.sets_of_class > 1)
  if not len(classes):
    return None
  top_k = tuple(score.scores)
  estimate, chance, counted = np.zeros([3, len(top_k)])
  drawn = np.zeros([len(top_k), resamples])
  fired = score.firing.above[0], score.firing.below[0]
  totals = np.stack([counts.sum(axis=0, dtype=np.int64) for counts in fired])
  for c in classes:
    rows = np.flatnonzero(score.sets.set_classes == c)
    rng = np.random.default_rng([seed, c])
    found = _of_class(score, rows, totals, _halves(rng, splits, len(rows)))
    weights = rng.multinomial(
      len(rows), np.full(len(rows), 1 / len(rows)), size=resamples
    )
    for i, k in enumerate(top_k):
      fires = found.fires[:, :k].sum()
      if not fires:
        continue
      counted[i] += 1
      shares = found.fires[:, :k] / fires
      mean = (found.invariance[:, :k] * shares).sum()
      # From the mean of all ways, not from that of one: a half of one set is
      # its own mean.
      parts = found.parts[:, :k] - mean * found.counted[:, :k]
      influence = np.einsum("wks,wk->s", parts, shares)
      estimate[i] += mean
      drawn[i] += mean + np.einsum("rs,s->r", weights - 1.0, influence)
      chance[i] += (found.chance[:, :k] * shares).sum()
  percent = 100 / np.maximum(counted, 1)
  estimate, chance = estimate * percent, chance * percent
  drawn *= percent[:, np.newaxis]
  low, high = np.clip(np.quantile(drawn, tails, axis=1), 0, 100)
  found = {
    k: intervals_lib.Interval(
      float(estimate[i]), float(low[i]), float(high[i]), 0.0
    )
    for i, k in enumerate(top_k)
  }
  return CrossFitted(
    scores={k: interval.estimate for k, interval in found.items()},
    chance={k: float(chance[i]) for i, k in enumerate(top_k)},
    intervals=found,
    num_classes=len(classes),
  )


def _halves(rng: np.random.Generator, splits: int, count: int) -> np.ndarray:
  """[2 * splits, count] bool: the sets of one half, then of the other."""
  order = rng.permuted(np.tile(np.arange(count), [splits, 1]), axis=1)
  half = order < count // 2
  return np.concatenate([half, ~half])


class _Ways(NamedTuple):
  """What w ways to choose K of the units of one class give, of at most 1.

  Attributes:
    invariance: [w, K], invariance of each unit on the other sets.
    parts: [w, K, s], part of it that each set adds.
    counted: [w, K, s], share of each set in the mean that it is.
    chance: [w, K], the invariance of a unit that fires as often at random.
    fires: [w, K] bool, whether the other sets count for the unit.
  """

  invariance: np.ndarray
  parts: np.ndarray
  counted: np.ndarray
  chance: np.ndarray
  fires: np.ndarray


def _of_class(
  score: score_lib.InvarianceScore,
  rows: np.ndarray,
  totals: np.ndarray,
  chosen_by: np.ndarray,
) -> _Ways:
  """Chooses units on some sets of a class and measures them on the others.

  Args:
    score: score of the model.
    rows: [s], indices of the sets of the class.
    totals: [2, D], images of all sets on which units fire, by sign.
    chosen_by: [w, s] bool, sets on which units are chosen, for each way.
  """
  sizes = score.sets.sizes[rows]
  counts = np.stack([score.firing.above[0, rows], score.firing.below[0, rows]])
  shares = np.float32(counts / sizes[:, np.newaxis])  # [2, s, D]
  only_firing = score.variant == "code"
  ways = np.float32(chosen_by)

  # Not np.matmul: its own threads wait for each other on busy cores.
  rates = np.einsum("ws,isd->iwd", ways, shares)
  for rate, share in zip(rates, shares, strict=True):
    if only_firing:
      number = np.einsum("ws,sd->wd", ways, np.float32(share > 0))
      rate /= number + np.float32(1e-20)
    else:
      rate /= ways.sum(axis=1, keepdims=True)
    rate /= score.rates
  most = max(score.scores)
  units = np.stack(
    [score_lib.largest(row, most) for row in rates.max(axis=0)]
  )  # [w, K]
  sign = np.take_along_axis(np.argmax(rates, axis=0), units, axis=1)

  fired = shares[sign, :, units]  # [w, K, s]
  scored = np.float32(~chosen_by)[:, np.newaxis]  # [w, 1, s]
  counted = scored * (fired > 0) if only_firing else scored
  number = counted.sum(axis=2) + np.float32(1e-20)
  number = number[..., np.newaxis]
  scale = score.firing_fraction / score.rates[units]  # 1 without ties.
  parts = fired * scored / number * np.float32(scale)[..., np.newaxis]

  inside = np.einsum("wks,ws->wk", fired, ways * sizes)
  outside = (score.sets.sizes.sum() - ways @ sizes)[:, np.newaxis]  # [w, 1]
  chance = np.maximum(totals[sign, units] - inside, 0) / outside
  if only_firing:
    chance = _if_it_fires(chance, scored * sizes)
  return _Ways(
    parts.sum(axis=2),
    parts,
    np.broadcast_to(counted / number, parts.shape),
    chance * scale,
    np.broadcast_to(number[..., 0] > 0.5, chance.shape),
  )


def _if_it_fires(rate: np.ndarray, sizes: np.ndarray) -> np.ndarray:
  """Mean share of firing images of the sets in which a unit fires at all.

  Args:
    rate: [w, K], rate at which each unit fires at random.
    sizes: [w, 1, s], number of images of each set; 0 for sets left out.
  """
  silent = (1 - rate[..., np.newaxis]) ** sizes  # [w, K, s]
  fires = (1 - silent).sum(axis=2)
  return rate * np.count_nonzero(sizes, axis=2) / np.maximum(fires, 1e-20)
