"""The cross-fitted score: units chosen on some sets, scored on others. NumPy.

A score chooses the best K units and measures them on the same sets, so that
they look better than they are. Here the sets of each class are split in halves:
the K units are chosen on one half, with the sign with which they fire more, and
scored on the other, and the reverse. What the choice made of chance does not
recur on the other half: features that know nothing score the rate at which the
chosen units fire on all other images, which is the chance level.

All sets of the scoring half count, as in variant "formula": if only sets in
which a unit fires counted, chance would be above the firing rate.
"""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.invariance import score as score_lib


class CrossFitted(NamedTuple):
  """The cross-fitted score of one model.

  Attributes:
    scores: {K: percent}, share of the images of the sets that did not choose
      on which the K units fire: mean over sets and classes.
    chance: {K: percent}, rate at which these units fire on all images but
      those of the sets that chose them.
    intervals: {K: Interval}, bootstrap over sets; units are not chosen again.
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
  counts = np.stack([score.firing.above[0], score.firing.below[0]])
  totals = counts.sum(axis=1, dtype=np.int64)  # [2, D]
  chance = np.zeros(len(top_k))
  drawn = np.zeros([len(top_k), resamples])
  estimate = np.zeros(len(top_k))
  for c in classes:
    rows = np.flatnonzero(score.sets.set_classes == c)
    rng = np.random.default_rng([seed, c])
    chosen_by = _halves(rng, splits, len(rows))
    of_sets, by_chance = _of_class(
      counts[:, rows], score.sets.sizes, rows, totals, chosen_by, top_k
    )
    weights = rng.multinomial(
      len(rows), np.full(len(rows), 1 / len(rows)), size=resamples
    )
    estimate += of_sets.mean(axis=1)
    drawn += of_sets @ weights.T / len(rows)
    chance += by_chance
  percent = 100 / len(classes)
  found = {}
  for i, k in enumerate(top_k):
    low, high = np.quantile(drawn[i] * percent, tails)
    value = float(estimate[i] * percent)
    found[k] = intervals_lib.Interval(value, float(low), float(high), 0.0)
  return CrossFitted(
    scores={k: interval.estimate for k, interval in found.items()},
    chance={k: float(chance[i] * percent) for i, k in enumerate(top_k)},
    intervals=found,
    num_classes=len(classes),
  )


def _halves(rng: np.random.Generator, splits: int, count: int) -> np.ndarray:
  """[2 * splits, count] bool: the sets of one half, then of the other."""
  order = rng.permuted(np.tile(np.arange(count), [splits, 1]), axis=1)
  half = order < count // 2
  return np.concatenate([half, ~half])


def _of_class(
  counts: np.ndarray,
  sizes: np.ndarray,
  rows: np.ndarray,
  totals: np.ndarray,
  chosen_by: np.ndarray,
  top_k: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
  """Scores of the sets of one class.

  Args:
    counts: [2, s, D], images of each set of the class that fire, by sign.
    sizes: [S], number of images in each set, of all classes.
    rows: [s], indices of the sets of the class.
    totals: [2, D], images of all sets that fire, by sign.
    chosen_by: [w, s] bool, sets on which units are chosen, for each way.
    top_k: numbers of units, K.

  Returns:
    [K, s] share of each set's images, mean over the ways in which it did not
    choose, and [K] the same of the firing rates.
  """
  ways = np.float32(chosen_by)
  shares = np.float32(counts / sizes[rows, np.newaxis])
  rates = np.stack([ways @ one for one in shares])  # [2, w, D], in sums.
  sign = np.argmax(rates, axis=0)  # The positive one if they are equal.
  best = rates.max(axis=0)
  most = max(top_k)
  units = np.stack([score_lib.largest(row, most) for row in best])  # [w, most]
  sign = np.take_along_axis(sign, units, axis=1)
  fired = shares[sign, :, units]  # [w, most, s]
  inside = np.einsum("wks,ws->wk", counts[sign, :, units], ways)
  images = sizes.sum() - ways @ sizes[rows]  # [w]
  outside = (totals[sign, units] - inside) / images[:, np.newaxis]  # [w, most]
  scored = (~chosen_by) / np.count_nonzero(~chosen_by, axis=0)  # [w, s]
  of_sets = [
    np.einsum("ws,ws->s", fired[:, :k].mean(axis=1), scored) for k in top_k
  ]
  by_chance = [outside[:, :k].mean(axis=1) @ scored.mean(axis=1) for k in top_k]
  return np.array(of_sets), np.array(by_chance)
