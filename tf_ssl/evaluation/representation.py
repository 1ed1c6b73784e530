"""Label-free measures of features and embeddings.

They take NumPy arrays or eager tensors and return a float. Unless a docstring
says otherwise, they scale rows to unit length and compute in float64.
"""

import numpy as np

from tf_ssl import errors


def alignment(
  query: np.ndarray, key: np.ndarray, *, exponent: float = 2.0
) -> float:
  """Mean distance between the embeddings of positive pairs; 0 is perfect.

  L_align of Wang & Isola 2020, whose alpha is `exponent`. With exponent 2,
  unrelated directions in many dimensions give about 2; the maximum is 4.

  Args:
    query: [B, E] float, embeddings of one view.
    key: [B, E] float, embeddings of the other view of each image.
    exponent: power of the Euclidean distance.

  Returns:
    mean of |q_i - k_i| ** exponent.

  Raises:
    UsageError: the shapes differ or are not [B, E], or values are not
      finite.
  """
  query, key = _unit(query, "query"), _unit(key, "key")
  errors.require(
    query.shape == key.shape,
    f"query embeddings are {query.shape} and key embeddings {key.shape}; "
    "alignment needs pairs of the same shape",
  )
  return float(np.mean(np.linalg.norm(query - key, axis=1) ** exponent))


def uniformity(embedding: np.ndarray, *, sharpness: float = 2.0) -> float:
  """Uniformity of embeddings on the sphere; more negative is more uniform.

  L_uniform of Wang & Isola 2020, whose t is `sharpness`: the logarithm of the
  mean Gaussian potential over all pairs of different rows. 0 when all rows are
  equal; about -2 * sharpness for uniform rows in many dimensions.

  Args:
    embedding: [B, E] float, B >= 2.
    sharpness: t of exp(-t |x - y|^2).

  Returns:
    log mean exp(-sharpness * |x_i - x_j|^2) over i < j.

  Raises:
    UsageError: there are fewer than two rows, the shape is not [B, E], or
      values are not finite.
  """
  unit = _unit(embedding, "embedding", rows=2)
  above = np.triu_indices(len(unit), k=1)
  squared_distance = 2 - 2 * (unit @ unit.T)[above]  # [B (B - 1) / 2]
  potential = np.exp(-sharpness * np.maximum(squared_distance, 0.0))
  return float(np.log(np.mean(potential)))


def rank_me(embedding: np.ndarray, *, epsilon: float = 1e-7) -> float:
  """Effective rank: the number of directions that the embeddings use.

  RankMe (Garrido et al. 2023, equation 1): the exponential of the entropy of
  the normalized singular values. 1 when all rows are multiples of one vector,
  min(B, E) when all singular values are equal.

  Args:
    embedding: [B, E] float, neither centered nor scaled to unit length.
    epsilon: added to each normalized singular value, as in the paper.

  Returns:
    Effective rank, between 1 and min(B, E) (up to epsilon).

  Raises:
    UsageError: the shape is not [B, E], or values are not finite.
  """
  singular_values = np.linalg.svd(
    _matrix(embedding, "embedding"), compute_uv=False
  )  # [min(B, E)]
  total = max(np.sum(singular_values), np.finfo(np.float64).tiny)
  share = singular_values / total + epsilon
  return float(np.exp(-np.sum(share * np.log(share))))


def embedding_std(embedding: np.ndarray) -> float:
  """Standard deviation of unit-length embeddings, averaged over channels.

  Chen & He 2021 (SimSiam, section 4.1): 1 / sqrt(E) for uniform directions, 0
  when all images have the same embedding.

  Args:
    embedding: [B, E] float.

  Returns:
    mean over channels of the standard deviation over rows.

  Raises:
    UsageError: the shape is not [B, E], or values are not finite.
  """
  return float(np.mean(np.std(_unit(embedding, "embedding"), axis=0)))


def duplicate_share(
  embedding: np.ndarray, *, threshold: float = 0.999, sample: int = 256
) -> float:
  """Fraction of rows that have a near-duplicate among the other rows.

  Args:
    embedding: [N, E] float; compared in float32.
    threshold: cosine similarity above which two rows are near-duplicates.
    sample: number of evenly spaced rows to compare with all others.

  Returns:
    Fraction of the sampled rows, 0..1; 0 for a single row.

  Raises:
    UsageError: the shape is not [N, E], or values are not finite.
  """
  unit = _unit(embedding, "embedding").astype(np.float32)
  rows = np.unique(np.linspace(0, len(unit) - 1, sample).astype(int))  # [S]
  similarity = unit[rows] @ unit.T  # [S, N]
  similarity[
    np.arange(len(rows)), rows
  ] = -1.0  # A row is not its own duplicate.
  return float(np.mean(np.max(similarity, axis=1) > threshold))


def same_object_accuracy(
  before: np.ndarray, after: np.ndarray, tracks: np.ndarray
) -> float:
  """Accuracy of object re-identification between two frames.

  The feature of a region at time t is compared, by cosine similarity in
  float32, with the feature of the same region at t + k and with those of all
  other tracks at t + k. A pair counts as correct if the same region is strictly
  the most similar.

  Args:
    before: [N, D] float, features of regions at t.
    after: [N, D] float, features of the same regions at t + k.
    tracks: [N] int, track of each pair; pairs of one track do not compete with
      each other.

  Returns:
    Fraction of the N pairs, 0..1. Chance is 1 / (1 + number of other pairs).

  Raises:
    UsageError: shapes do not match, features are not finite, or there are fewer
      than two tracks.
  """
  before, after = (np.asarray(x, np.float32) for x in (before, after))
  tracks = np.asarray(tracks)
  errors.require(
    before.ndim == 2
    and before.shape == after.shape
    and tracks.shape == before.shape[:1],
    f"before {before.shape}, after {after.shape}, tracks {tracks.shape}:"
    " expected [N, D], [N, D] and [N]",
  )
  errors.require(
    np.isfinite(before).all() and np.isfinite(after).all(),
    "the features of regions contain NaN or infinity; the encoder that computed"
    " them has diverged, or its weights are damaged",
  )
  errors.require(
    len(np.unique(tracks)) >= 2,
    "re-identification needs at least two tracks; give videos with more tracks",
  )
  # Float32, unlike `_unit`: the similarities are N x N.
  before, after = (
    x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    for x in (before, after)
  )
  similarity = before @ after.T  # [N, N]
  own = np.diagonal(similarity)
  others = np.where(tracks[:, None] == tracks, -np.inf, similarity)
  return float(np.mean(own > others.max(1)))


def _matrix(values: np.ndarray, name: str, rows: int = 1) -> np.ndarray:
  matrix = np.asarray(values, np.float64)
  errors.require(
    matrix.ndim == 2 and len(matrix) >= rows and matrix.shape[1],
    f"{name} has shape {matrix.shape}; expected [B, E] with at least {rows} "
    "rows",
  )
  errors.require(
    np.isfinite(matrix).all(),
    f"{name} contains NaN or infinity; the encoder that computed it has "
    "diverged, or its weights are damaged",
  )
  return matrix


def _unit(values: np.ndarray, name: str, rows: int = 1) -> np.ndarray:
  matrix = _matrix(values, name, rows)
  length = np.linalg.norm(matrix, axis=1, keepdims=True)
  return matrix / np.maximum(length, 1e-12)
