"""The invariance scores of resampled sets, without the features.

A score needs of each set only on how many images each unit fires: a resample
is a product of the sets' weights with these counts.
"""

import os
from collections.abc import Iterator
from concurrent import futures

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import score as invariance

# Resampled values held at once, for one class: 2**19 float32 are 2 MiB. Fewer
# take longer to call NumPy for, more leave the caches.
_MAX_VALUES = 2**19
_CLASSES_AT_ONCE = 256
# Up to this many sets a class has few different resamples: 462 for 6 sets, each
# of which is computed once.
_FEW_SETS = 6
# Groups of units, to each unit that is chosen.
_GROUPS = 4


def replicates(
  score: invariance.InvarianceScore, *, resamples: int = 1000, seed: int = 0
) -> dict[int, np.ndarray]:
  """The score of each resample; the same seed draws the same sets.

  Args:
    score: from `representation_invariance_score`.
    resamples: R.
    seed: of the resamples.

  Returns:
    {K: [R] float64, percent}. Computed in float32, to about 1e-5 of itself.

  Raises:
    UsageError: a single set.
  """
  if len(score.sets.ids) < 2:
    raise errors.UsageError(
      "there is one set of images only; an interval over sets needs at least "
      "two: measure more sets"
    )
  number = score.sets.sets_of_class  # [C]
  measured = np.flatnonzero(number)
  if number.max() == 1:
    return _resampled_classes(score, resamples, seed)

  def of_class(c: int) -> dict[int, np.ndarray | float]:
    if number[c] == 1:
      return {k: values[c] for k, values in score.class_scores.items()}
    # One generator a class, so that threads draw the same in any order.
    weights = np.random.default_rng([seed, c]).multinomial(
      number[c], np.full(number[c], 1 / number[c]), size=resamples
    )  # [R, sets of the class]
    return _class_scores(score, c, weights)

  total = {k: np.zeros(resamples) for k in score.scores}
  with futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    for start in range(0, len(measured), _CLASSES_AT_ONCE):
      some = measured[start : start + _CLASSES_AT_ONCE]
      for found in pool.map(of_class, some):
        for k, values in found.items():
          total[k] += values
  counted = _num_counted(score)
  return {k: values / counted for k, values in total.items()}


def _num_counted(score: invariance.InvarianceScore) -> int:
  """Over how many classes the mean of the score goes."""
  if score.variant == "code":
    return len(score.sets.classes)
  return np.count_nonzero(score.sets.sets_of_class)


def _resampled_classes(
  score: invariance.InvarianceScore, resamples: int, seed: int
) -> dict[int, np.ndarray]:
  """One set a class: a resample takes classes, whose scores are known."""
  # Classes without sets are no sample of anything: they stay as they are.
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
  score: invariance.InvarianceScore, c: int, weights: np.ndarray
) -> dict[int, np.ndarray]:
  """Top-K means of one class: weights [R, s] int -> {K: [R] percent}."""
  which = slice(None)
  if weights.shape[1] <= _FEW_SETS:
    # A resample as one number, its digits the weights.
    base = (weights.shape[1] + 1) ** np.arange(weights.shape[1])
    _, first, which = np.unique(
      weights @ base, return_index=True, return_inverse=True
    )
    weights = weights[first]
  found = [
    _top_means(invariances, tuple(score.scores))
    for invariances in _resampled(score, c, weights.astype(np.float32))
  ]
  return {
    k: np.concatenate([means[k] for means in found])[which]
    for k in score.scores
  }


def _resampled(
  score: invariance.InvarianceScore, c: int, weights: np.ndarray
) -> Iterator[np.ndarray]:
  """Invariances of one class: weights [R, s] -> [r, D] percent, in turn.

  What is yielded is overwritten by the next: pages of memory that are new for
  each would cost as much as what is computed in them, and threads would wait
  for each other to get them.
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
    # Not np.matmul, whose own threads wait for each other where cores are busy.
    np.einsum("rs,sd->rd", part, above, out=rate)
    np.einsum("rs,sd->rd", part, below, out=other)
    if score.variant == "code":
      other += 1e-20  # 0 where the unit fires in no set; more stay as they are
      rate /= other
    else:
      np.maximum(rate, other, out=rate)
      rate /= len(rows)
    yield rate


def _top_means(
  values: np.ndarray, top_k: tuple[int, ...]
) -> dict[int, np.ndarray]:
  """Means of the K largest of each row: [r, D] -> {K: [r] float64}."""
  most, num_units = max(top_k), values.shape[1]
  groups = _GROUPS * most
  if num_units >= 2 * groups:
    # The K-th largest of the maxima of groups of units is at most the K-th
    # largest of all: few are as large, and the choice is among these.
    folded = values[:, : num_units - num_units % groups]
    largest = folded.reshape([len(values), -1, groups]).max(axis=1)
    place = groups - most
    least = np.partition(largest, place, axis=1)[:, place, np.newaxis]
    chosen = values >= least
    number = np.count_nonzero(chosen, axis=1)
    slots = np.arange(number.max()) < number[:, np.newaxis]
    few = np.full(slots.shape, -1, values.dtype)  # less than any invariance
    few[slots] = values[chosen]
    values = few
  place = values.shape[1] - most
  top = np.partition(values, place, axis=1)[:, place:]
  top = np.sort(top, axis=1)[:, ::-1]
  return {k: top[:, :k].mean(axis=1, dtype=np.float64) for k in top_k}
