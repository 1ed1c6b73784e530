"""Assigns candidates to tracks: three matchers for one score matrix.

A score of -inf marks an impossible pair. All matchers are one-to-one and
return [P, 2] int rows (track, candidate), sorted by track.
"""

from collections.abc import Callable

import numpy as np
from scipy import optimize

from tf_ssl import errors

Matcher = Callable[[np.ndarray], np.ndarray]
NAMES = ("greedy", "mutual", "optimal")


def gated(
  similarity: np.ndarray,
  overlap: np.ndarray,
  *,
  floor: float,
  gate: float,
  overlap_weight: float,
) -> np.ndarray:
  """Scores the pairs that are similar enough and near enough.

  Args:
    similarity: [A, R] cosine of track and candidate.
    overlap: [A, R] IoU of the candidate with the track's expected box.
    floor: minimum similarity.
    gate: minimum overlap.
    overlap_weight: weight of the overlap relative to the similarity.

  Returns:
    [A, R] scores, -inf for impossible pairs.
  """
  possible = (similarity >= floor) & (overlap >= gate)
  return np.where(possible, similarity + overlap_weight * overlap, -np.inf)


def greedy(scores: np.ndarray) -> np.ndarray:
  """Takes the best pair, then the best remaining one (as in the paper)."""
  pairs, free_rows, free_columns = [], *(np.ones(n, bool) for n in scores.shape)
  rows, columns = np.nonzero(np.isfinite(scores))
  for place in np.argsort(-scores[rows, columns], kind="stable"):
    row, column = rows[place], columns[place]
    if free_rows[row] and free_columns[column]:
      free_rows[row] = free_columns[column] = False
      pairs.append((row, column))
  return _pairs(pairs)


def mutual(scores: np.ndarray) -> np.ndarray:
  """Takes the pairs in which each side is the other's best."""
  if not scores.size:
    return _pairs([])
  best = scores.argmax(1)
  rows = np.arange(len(scores))
  is_mutual = (scores.argmax(0)[best] == rows) & np.isfinite(scores[rows, best])
  return _pairs(np.stack([rows, best], 1)[is_mutual])


def optimal(scores: np.ndarray) -> np.ndarray:
  """Maximizes the number of pairs, then the sum of their scores."""
  possible = np.isfinite(scores)
  if not possible.any():
    return _pairs([])
  # Lower than the possible gain of any assignment with fewer pairs.
  span = scores[possible].max() - scores[possible].min() + 1
  worst = scores[possible].min() - span * (min(scores.shape) + 1)
  filled = np.where(possible, scores, worst)
  pairs = np.stack(optimize.linear_sum_assignment(filled, maximize=True), 1)
  return _pairs(pairs[possible[pairs[:, 0], pairs[:, 1]]])


def by_name(name: str) -> Matcher:
  """Returns `greedy`, `mutual` or `optimal`.

  Raises:
    UsageError: the name is unknown.
  """
  matchers = {"greedy": greedy, "mutual": mutual, "optimal": optimal}
  errors.require(
    name in matchers,
    f"matcher={name!r}: expected one of {', '.join(matchers)}",
  )
  return matchers[name]


def _pairs(pairs) -> np.ndarray:
  return np.array(sorted(map(tuple, pairs)), int).reshape(-1, 2)
