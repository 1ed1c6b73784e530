"""What a set of embeddings looks like, without any label.

All take NumPy arrays or eager tensors, compute in float64 and return a
float. `embedding` rows need not be unit length where the docstring says so.
"""

import numpy as np

from tf_ssl import errors


def alignment(
  query: np.ndarray, key: np.ndarray, *, exponent: float = 2.0
) -> float:
  """Mean distance between the two sides of positive pairs; 0 is perfect.

  Wang & Isola 2020, L_align with their alpha = `exponent`. Unrelated directions
  in a space of many dimensions give about 2, the largest possible value is 4
  (both for exponent 2).

  Args:
    query: [B, E], scaled to unit length here.
    key: [B, E], row i is the other view of query i.
    exponent: power of the Euclidean distance.

  Returns:
    mean of |q_i - k_i| ** exponent.

  Raises:
    UsageError: shapes differ or are not [B, E].
  """
  query, key = _unit(query, "query"), _unit(key, "key")
  if query.shape != key.shape:
    raise errors.UsageError(
      f"query embeddings are {query.shape} and key embeddings {key.shape}; "
      "alignment needs pairs of the same shape"
    )
  return float(np.mean(np.linalg.norm(query - key, axis=1) ** exponent))


def uniformity(embedding: np.ndarray, *, sharpness: float = 2.0) -> float:
  """How evenly embeddings cover the sphere; more negative is more even.

  Wang & Isola 2020, L_uniform with their t = `sharpness`: the logarithm of the
  mean Gaussian potential over all pairs of different rows. 0 when all rows are
  the same; about -2 * sharpness for many rows spread evenly in many dimensions.

  Args:
    embedding: [B, E], B >= 2, scaled to unit length here.
    sharpness: t of exp(-t |x - y|^2).

  Returns:
    log mean exp(-sharpness * |x_i - x_j|^2) over i < j.

  Raises:
    UsageError: fewer than two rows, or not [B, E].
  """
  unit = _unit(embedding, "embedding", rows=2)
  above = np.triu_indices(len(unit), k=1)
  squared_distance = 2 - 2 * (unit @ unit.T)[above]  # [B (B - 1) / 2]
  potential = np.exp(-sharpness * np.maximum(squared_distance, 0.0))
  return float(np.log(np.mean(potential)))


def rank_me(embedding: np.ndarray, *, epsilon: float = 1e-7) -> float:
  """Effective rank: how many directions the embeddings really use.

  RankMe (Garrido et al. 2023, equation 1): the exponential of the entropy of
  the normalized singular values. 1 when all rows are multiples of one vector,
  min(B, E) when all directions are used alike.

  Args:
    embedding: [B, E], neither centered nor scaled here.
    epsilon: added to each normalized singular value, as in the paper.

  Returns:
    Effective rank, between 1 and min(B, E) (up to epsilon).

  Raises:
    UsageError: not [B, E].
  """
  singular_values = np.linalg.svd(
    _matrix(embedding, "embedding"), compute_uv=False
  )  # [min(B, E)]
  total = max(np.sum(singular_values), np.finfo(np.float64).tiny)
  share = singular_values / total + epsilon
  return float(np.exp(-np.sum(share * np.log(share))))


def embedding_std(embedding: np.ndarray) -> float:
  """Standard deviation of unit-length embeddings, averaged over channels.

  Chen & He 2021 (SimSiam, section 4.1): 1 / sqrt(E) when directions are spread
  evenly, 0 when all images have the same embedding.

  Args:
    embedding: [B, E], scaled to unit length here.

  Returns:
    mean over channels of the standard deviation over rows.

  Raises:
    UsageError: not [B, E].
  """
  return float(np.mean(np.std(_unit(embedding, "embedding"), axis=0)))


def duplicate_share(
  embedding: np.ndarray, *, threshold: float = 0.999, sample: int = 256
) -> float:
  """Share of rows that have a near-identical row among the others.

  Args:
    embedding: [N, E], scaled to unit length here.
    threshold: two rows are near-identical above this cosine similarity.
    sample: number of rows, evenly spaced, that are compared with all others.

  Returns:
    0..1; 0 for a single row.

  Raises:
    UsageError: not [N, E].
  """
  unit = _unit(embedding, "embedding").astype(np.float32)
  rows = np.unique(np.linspace(0, len(unit) - 1, sample).astype(int))  # [S]
  similarity = unit[rows] @ unit.T  # [S, N]
  similarity[np.arange(len(rows)), rows] = -1.0  # A row is not its own twin.
  return float(np.mean(np.max(similarity, axis=1) > threshold))


def _matrix(values: np.ndarray, name: str, rows: int = 1) -> np.ndarray:
  matrix = np.asarray(values, np.float64)
  if matrix.ndim != 2 or len(matrix) < rows or not matrix.shape[1]:
    raise errors.UsageError(
      f"{name} has shape {matrix.shape}; expected [B, E] with at least {rows} "
      "rows"
    )
  return matrix


def _unit(values: np.ndarray, name: str, rows: int = 1) -> np.ndarray:
  matrix = _matrix(values, name, rows)
  length = np.linalg.norm(matrix, axis=1, keepdims=True)
  return matrix / np.maximum(length, 1e-12)
