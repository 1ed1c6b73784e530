"""Whether an encoder knows an object again some time later."""

import numpy as np

from tf_ssl import errors


def same_object_accuracy(
  before: np.ndarray, after: np.ndarray, tracks: np.ndarray
) -> float:
  """How often an object is more like itself later than like any other.

  Of each pair, the feature at t is compared, by cosine similarity, with the
  true one at t + k and with those at t + k of all other tracks. The pair counts
  if the true one is the most similar; a tie does not count.

  Args:
    before: [N, D] float, of regions at t, any length.
    after: [N, D] float, of the same regions at t + k.
    tracks: [N] int, which track a pair is of: a track may have several pairs,
      which do not compete with each other.

  Returns:
    Share of the N pairs, 0..1. Chance is 1 / (1 + number of others).

  Raises:
    UsageError: the arrays do not fit together, hold NaN or infinity, or there
      are no two tracks.
  """
  before, after = (np.asarray(x, np.float32) for x in (before, after))
  tracks = np.asarray(tracks)
  if (
    before.ndim != 2
    or before.shape != after.shape
    or tracks.shape != before.shape[:1]
  ):
    raise errors.UsageError(
      f"before {before.shape}, after {after.shape}, tracks {tracks.shape}:"
      " expected [N, D], [N, D] and [N]"
    )
  if not np.isfinite(before).all() or not np.isfinite(after).all():
    raise errors.UsageError(
      "the features of regions hold NaN or infinity; the encoder that made them"
      " has diverged, or its weights are damaged"
    )
  if len(np.unique(tracks)) < 2:
    raise errors.UsageError(
      "an object is to be told from others, but there are no two tracks; give"
      " videos with more tracks"
    )
  similarity = _unit(before) @ _unit(after).T  # [N, N]
  own = np.diagonal(similarity)
  others = np.where(tracks[:, None] == tracks, -np.inf, similarity)
  return float(np.mean(own > others.max(1)))


def _unit(rows: np.ndarray) -> np.ndarray:
  return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
