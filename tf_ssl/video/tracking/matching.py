"""Which candidate continues which track: three matchers of one score matrix.

A score of -inf means "cannot be". All matchers are one to one and return
[P, 2] int rows (track, candidate), in order of track.
"""

from collections.abc import Callable

import numpy as np
from scipy import optimize

from tf_ssl import errors

Matcher = Callable[[np.ndarray], np.ndarray]


def gated(
  similarity: np.ndarray,
  overlap: np.ndarray,
  *,
  floor: float,
  gate: float,
  overlap_weight: float,
) -> np.ndarray:
  """Scores of the pairs that are similar enough and near enough.

  Args:
    similarity: [A, R] cosine of track and candidate.
    overlap: [A, R] IoU of the candidate with where the track is expected.
    floor: least similarity.
    gate: least overlap.
    overlap_weight: what an overlap of 1 adds to the similarity.

  Returns:
    [A, R] scores, -inf where the pair cannot be.
  """
  possible = (similarity >= floor) & (overlap >= gate)
  return np.where(possible, similarity + overlap_weight * overlap, -np.inf)


def greedy(scores: np.ndarray) -> np.ndarray:
  """The best pair first, then the best of what is left (the paper's way)."""
  pairs, free_rows, free_columns = [], *(np.ones(n, bool) for n in scores.shape)
  rows, columns = np.nonzero(np.isfinite(scores))
  for place in np.argsort(-scores[rows, columns], kind="stable"):
    row, column = rows[place], columns[place]
    if free_rows[row] and free_columns[column]:
      free_rows[row] = free_columns[column] = False
      pairs.append((row, column))
  return _pairs(pairs)


def mutual(scores: np.ndarray) -> np.ndarray:
  """Pairs of which each is the other's best."""
  if not scores.size:
    return _pairs([])
  best = scores.argmax(1)
  rows = np.arange(len(scores))
  is_mutual = (scores.argmax(0)[best] == rows) & np.isfinite(scores[rows, best])
  return _pairs(np.stack([rows, best], 1)[is_mutual])


def optimal(scores: np.ndarray) -> np.ndarray:
  """As many pairs as can be, and among those the greatest sum of scores."""
  possible = np.isfinite(scores)
  if not possible.any():
    return _pairs([])
  # Worse than all that one impossible pair fewer could cost.
  span = scores[possible].max() - scores[possible].min() + 1
  worst = scores[possible].min() - span * (min(scores.shape) + 1)
  filled = np.where(possible, scores, worst)
  pairs = np.stack(optimize.linear_sum_assignment(filled, maximize=True), 1)
  return _pairs(pairs[possible[pairs[:, 0], pairs[:, 1]]])


def by_name(name: str) -> Matcher:
  """Returns `greedy`, `mutual` or `optimal`.

  Raises:
    errors.UsageError: for another name.
  """
  matchers = {"greedy": greedy, "mutual": mutual, "optimal": optimal}
  if name not in matchers:
    raise errors.UsageError(
      f"matcher={name!r}: expected one of {', '.join(matchers)}"
    )
  return matchers[name]


def _pairs(pairs) -> np.ndarray:
  return np.array(sorted(map(tuple, pairs)), int).reshape(-1, 2)
