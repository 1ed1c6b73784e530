"""Confidence intervals of invariance scores: the bootstrap over sets.

Within each class, sets are resampled with replacement, to the same number.
Where every class has one set (each set its own class), that would change
nothing: classes are resampled instead, with their scores. Where some classes
have one set and others several, the former contribute no variation.

Thresholds and global firing rates are not resampled. They depend on all N
images and vary little; the sets within a class are few.

The K units are chosen again in each resample, because the choice is part of the
statistic. The best K of D units by a noisy measure look better than they are,
and those of a resample, which is noisier, even better: resampled scores lie
above the score, often all of them, and their percentiles miss it. The interval
is therefore the score plus the percentiles of the resampled scores' deviations
from *their* mean; the shift of that mean is reported as `bias`.

The interval covers the score that the same number of other sets of the same
kind would give on average. The limit for very many sets is lower, by more the
fewer sets per class and the more units; `bias` is of that order. Compare scores
on the same sets, or on the same number of sets per class.
benchmarks/invariance_intervals.py draws new sets 250 times, 5, 10 and 30 per
class: 95 % intervals covered that average in 95 to 100 % of cases, those of
plain percentiles in 0 to 21 %, and reflected ("basic") ones, which aim at very
many sets, covered that limit in 10 to 100 %.

A score needs only the number of images of each set on which each unit fires: a
resample is a product of the sets' weights with these counts, without features.
"""

import os
from collections.abc import Iterator
from concurrent import futures
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import matched
from tf_ssl.invariance import score as score_lib
from tf_ssl.ops import threads

# Resampled values of one class held at once: 2**19 float32 are 2 MiB. Fewer
# need more NumPy calls, more leave the caches.
_MAX_VALUES = 2**19
_CLASSES_AT_ONCE = 256
# A class of up to 6 sets has at most 462 different resamples; each is computed
# once.
_FEW_SETS = 6
_GROUPS = 4  # Groups of units per chosen unit, in `_top_means`.
# NumPy sorts all units faster than it selects more than this share of them.
_SORTED_SHARE = 4


class Interval(NamedTuple):
  """An estimate with its bootstrap interval over sets.

  Attributes:
    estimate: percent, or a difference of two percentages.
    low: lower end of the interval.
    high: upper end of the interval.
    bias: mean over resamples minus the estimate, which comes from choosing the
      K units again from noisier counts. Already subtracted from low and high.
  """

  estimate: float
  low: float
  high: float
  bias: float


def intervals(
  score: score_lib.InvarianceScore,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> dict[int, Interval]:
  """Confidence intervals of a model's scores, over sets.

  Args:
    score: score of the model.
    resamples: number of resamples, R, at least 2.
    confidence: confidence level, between 0 and 1.
    seed: seed of the resamples.

  Returns:
    {K: Interval} in percent, within 0..100.

  Raises:
    UsageError: resamples or confidence are out of range, or there is one set.
  """
  tails(resamples, confidence)
  drawn = replicates(score, resamples=resamples, seed=seed)
  return of_replicates(score, drawn, confidence=confidence)


def of_replicates(
  score: score_lib.InvarianceScore,
  drawn: dict[int, np.ndarray],
  *,
  confidence: float = 0.95,
) -> dict[int, Interval]:
  """`intervals` from the scores that `replicates` has drawn.

  Args:
    score: score of the model.
    drawn: {K: [R] percent}, its replicates.
    confidence: confidence level, between 0 and 1.
  """
  low, high = tails(2, confidence)
  return {
    k: _centered(score.scores[k], drawn[k], low, high, (0.0, 100.0))
    for k in score.scores
  }


def differences(
  score: score_lib.InvarianceScore,
  other: score_lib.InvarianceScore,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> dict[int, Interval]:
  """Confidence intervals of the difference of two models on the same sets.

  The difference is paired: each resample takes the same sets for both models,
  so that sets which are hard for both cancel.

  Args:
    score: score of the one model.
    other: score of the other model. If its number of units differs, match both
      with `matched.at`: more units raise a score.
    resamples: number of resamples, R, at least 2.
    confidence: confidence level, between 0 and 1.
    seed: seed of the resamples.

  Returns:
    {K: Interval} of score - other, in percentage points, for each common K.

  Raises:
    UsageError: the two differ in sets, classes, variant, firing fraction or all
      K; resamples or confidence are out of range; or there is one set.
  """
  tails(resamples, confidence)
  _check_pair(score, other)
  drawn, others = (
    replicates(one, resamples=resamples, seed=seed) for one in (score, other)
  )
  return differences_of_replicates(
    score, other, drawn, others, confidence=confidence
  )


def differences_of_replicates(
  score: score_lib.InvarianceScore,
  other: score_lib.InvarianceScore,
  drawn: dict[int, np.ndarray],
  others: dict[int, np.ndarray],
  *,
  confidence: float = 0.95,
) -> dict[int, Interval]:
  """`differences` from the scores that `replicates` has drawn with one seed.

  Args:
    score: score of the one model.
    other: score of the other model, on the same sets.
    drawn: {K: [R] percent}, replicates of the one model.
    others: {K: [R] percent}, replicates of the other model.
    confidence: confidence level, between 0 and 1.
  """
  low, high = tails(2, confidence)
  return {
    k: _centered(
      score.scores[k] - other.scores[k],
      drawn[k] - others[k],
      low,
      high,
      (-100.0, 100.0),
    )
    for k in score.scores
    if k in other.scores
  }


def replicates(
  score: score_lib.InvarianceScore, *, resamples: int = 1000, seed: int = 0
) -> dict[int, np.ndarray]:
  """The score of each resample; equal seeds draw equal sets for all models.

  Args:
    score: score of the model.
    resamples: number of resamples, R.
    seed: seed of the resamples.

  Returns:
    {K: [R] float64, percent}, computed in float32: relative error about 1e-5.

  Raises:
    UsageError: there is one set.
  """
  errors.require(
    len(score.sets.ids) > 1,
    "there is only one set of images; an interval over sets needs at least "
    "two: measure more sets",
  )
  number = score.sets.sets_of_class  # [C]
  measured = np.flatnonzero(number)
  ranks = _ranks(score)
  if number.max() == 1:
    return _resampled_classes(score, resamples, seed)

  def of_class(c: int) -> dict[int, np.ndarray | float]:
    if number[c] == 1:
      return {k: values[c] for k, values in score.class_scores.items()}
    # One generator per class: the order of threads changes nothing.
    weights = np.random.default_rng([seed, c]).multinomial(
      number[c], np.full(number[c], 1 / number[c]), size=resamples
    )  # [R, sets of the class]
    return _class_scores(score, c, weights, ranks)

  total = {k: np.zeros(resamples) for k in score.scores}
  with (
    threads.one_for_blas(),  # The classes share the cores.
    futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
  ):
    for start in range(0, len(measured), _CLASSES_AT_ONCE):
      some = measured[start : start + _CLASSES_AT_ONCE]
      for found in pool.map(of_class, some):
        for k, values in found.items():
          total[k] += values
  counted = _num_counted(score)
  return {k: values / counted for k, values in total.items()}


def _centered(
  estimate: float,
  drawn: np.ndarray,
  low: float,
  high: float,
  limits: tuple[float, float],
) -> Interval:
  lower, upper = np.quantile(drawn, (low, high))
  bias = float(drawn.mean() - estimate)
  ends = np.clip([lower - bias, upper - bias], *limits)
  return Interval(float(estimate), float(ends[0]), float(ends[1]), bias)


def tails(resamples: int, confidence: float) -> tuple[float, float]:
  """The two quantiles of an interval.

  Raises:
    UsageError: resamples or confidence are out of range.
  """
  errors.require(
    resamples >= 2 and 0 < confidence < 1,
    f"resamples is {resamples} and confidence {confidence}; expected at least "
    "2 resamples and a confidence between 0 and 1, such as 0.95",
  )
  return (1 - confidence) / 2, (1 + confidence) / 2


def _check_pair(
  score: score_lib.InvarianceScore, other: score_lib.InvarianceScore
) -> None:
  same_sets = all(
    np.array_equal(getattr(score.sets, name), getattr(other.sets, name))
    for name in ("ids", "sizes", "set_classes", "classes")
  )
  errors.require(
    same_sets,
    f"the two models were measured on different sets ({len(score.sets.ids)} "
    f"and {len(other.sets.ids)} sets); a paired difference needs the same "
    "images in the same sets",
  )
  for name in ("variant", "firing_fraction"):
    one, two = getattr(score, name), getattr(other, name)
    errors.require(
      one == two,
      f"the two models were measured with {name} {one} and {two}; measure both "
      "with one value",
    )
  errors.require(
    set(score.scores) & set(other.scores),
    f"the two models were measured with top_k {tuple(score.scores)} and "
    f"{tuple(other.scores)}; measure both with one value",
  )


def _num_counted(score: score_lib.InvarianceScore) -> int:
  """Number of classes in the mean of the score."""
  if score.variant == "code":
    return len(score.sets.classes)
  return np.count_nonzero(score.sets.sets_of_class)


def _resampled_classes(
  score: score_lib.InvarianceScore, resamples: int, seed: int
) -> dict[int, np.ndarray]:
  """Resamples classes, where each has one set: their scores are known."""
  # Classes without sets are not sampled: they stay in every resample.
  measured = np.flatnonzero(score.sets.sets_of_class)
  counted = _num_counted(score)
  rng = np.random.default_rng(seed)
  drawn = {k: np.empty(resamples) for k in score.scores}
  chunk = max(1, _MAX_VALUES // len(measured))
  for start in range(0, resamples, chunk):
    size = min(chunk, resamples - start)
    weights = rng.multinomial(
      len(measured), np.full(len(measured), 1 / len(measured)), size=size
    )
    for k, values in score.class_scores.items():
      drawn[k][start : start + size] = weights @ values[measured] / counted
  return drawn


def _class_scores(
  score: score_lib.InvarianceScore,
  c: int,
  weights: np.ndarray,
  ranks: dict[int, np.ndarray | None],
) -> dict[int, np.ndarray]:
  """Top-K means of one class: weights [R, s] int -> {K: [R] percent}."""
  which = slice(None)
  if weights.shape[1] <= _FEW_SETS:
    # A resample as one number whose digits are the weights.
    base = (weights.shape[1] + 1) ** np.arange(weights.shape[1])
    _, first, which = np.unique(
      weights @ base, return_index=True, return_inverse=True
    )
    weights = weights[first]
  found = [
    _top_means(invariances, ranks)
    for invariances in _resampled(score, c, weights.astype(np.float32))
  ]
  return {
    k: np.concatenate([means[k] for means in found])[which]
    for k in score.scores
  }


def _resampled(
  score: score_lib.InvarianceScore, c: int, weights: np.ndarray
) -> Iterator[np.ndarray]:
  """Invariances of one class in chunks: weights [R, s] -> [r, D] percent.

  Each chunk overwrites the last one: new pages of memory would cost as much as
  the computation, and threads would wait for each other to get them.
  """
  rows = np.flatnonzero(score.sets.set_classes == c)
  scale = 100 * score.firing_fraction / score.rates  # [D]
  scale = scale / score.sets.sizes[rows, np.newaxis]  # [s, D]
  above = (score.firing.above[0, rows] * scale).astype(np.float32)
  below = (score.firing.below[0, rows] * scale).astype(np.float32)
  if score.variant == "code":
    above = np.maximum(above, below)
    below = (above > 0).astype(np.float32)
  num_units = above.shape[1]
  chunk = min(len(weights), max(1, _MAX_VALUES // num_units))
  rates, others = np.empty([2, chunk, num_units], np.float32)
  for start in range(0, len(weights), chunk):
    part = weights[start : start + chunk]
    rate, other = rates[: len(part)], others[: len(part)]
    np.matmul(part, above, out=rate)
    np.matmul(part, below, out=other)
    if score.variant == "code":
      other += 1e-20  # For units that fire in no set; others keep their value.
      rate /= other
    else:
      np.maximum(rate, other, out=rate)
      rate /= len(rows)
    yield rate


def _ranks(score: score_lib.InvarianceScore) -> dict[int, np.ndarray | None]:
  """{K: weights of the best units in the score}; None for the mean of K."""
  if score.subset_units is None:
    return dict.fromkeys(score.scores)
  width = len(score.rates)
  return {
    k: matched.weights(width, score.subset_units, k) for k in score.scores
  }


def _top_means(
  values: np.ndarray, ranks: dict[int, np.ndarray | None]
) -> dict[int, np.ndarray]:
  """Means of the best units: [r, D], weights by K -> {K: [r] float64}."""
  most = max(
    k if weights is None else len(weights) for k, weights in ranks.items()
  )
  num_units = values.shape[1]
  groups = _GROUPS * most
  if num_units >= 2 * groups:
    # The K-th largest of the maxima of groups of units is at most the K-th
    # largest of all. Few units reach it; the K largest are among them.
    folded = values[:, : num_units - num_units % groups]
    largest = folded.reshape([len(values), -1, groups]).max(axis=1)
    place = groups - most
    least = np.partition(largest, place, axis=1)[:, place, np.newaxis]
    chosen = values >= least
    number = np.count_nonzero(chosen, axis=1)
    slots = np.arange(number.max()) < number[:, np.newaxis]
    few = np.full(slots.shape, -1, values.dtype)  # Below any invariance.
    few[slots] = values[chosen]
    values = few
  if _SORTED_SHARE * most < values.shape[1]:
    place = values.shape[1] - most
    values = np.partition(values, place, axis=1)[:, place:]
  top = np.sort(values, axis=1)  # Ascending: the best are last.
  return {
    k: top[:, -k:].mean(axis=1, dtype=np.float64)
    if weights is None
    else top[:, -len(weights) :] @ weights[::-1].astype(top.dtype)
    for k, weights in ranks.items()
  }
