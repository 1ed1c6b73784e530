"""Weighted k-nearest-neighbor classification of frozen features."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.evaluation import predictions as guesses_lib
from tf_ssl.evaluation.knn import neighbors

_MAX_VOTES = 2**22  # float64, held at once: 32 MiB


def knn_accuracy(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  k: int = 20,
  temperature: float = 0.1,
) -> float:
  """Share of test images whose class their k nearest neighbors name, 0..1.

  See `classify`.
  """
  guesses = classify(
    train_features,
    train_labels,
    test_features,
    test_labels,
    k=[k],
    temperature=[temperature],
  )
  return guesses[k, temperature].accuracy()


def classify(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  k: Sequence[int],
  temperature: Sequence[float],
  show_progress: bool = False,
) -> Mapping[tuple[int, float], guesses_lib.Guesses]:
  """Lets the nearest training images vote for the class of each test image.

  The protocol of InstDisc (Wu et al. 2018, section 3.4), and of MoCo's CIFAR-10
  notebook: cosine similarity s to every training feature; the k most similar
  vote for their class with weight exp(s / temperature). The search is exact. Of
  equally similar neighbors the one that comes first in the training set is
  taken; of classes with equal votes, the one with the smallest id.

  The search is made once for all k and temperatures.

  Args:
    train_features: [N, D] float, any length; arrays, tensors or memory maps, of
      which no more than a chunk is in memory at once.
    train_labels: [N] int, class ids >= 0.
    test_features: [M, D] float.
    test_labels: [M] int, class ids >= 0.
    k: numbers of neighbors, 1..N each.
    temperature: > 0 each; a large one gives every neighbor the same vote.
    show_progress: whether to draw a bar where it takes long.

  Returns:
    {(k, temperature): Guesses} for all of them. A class without any vote is not
    named, however many one looks at.

  Raises:
    UsageError: features that do not fit together or are not finite, missing or
      negative labels, k or temperature out of range.
  """
  train, train_ids = _checked("train", train_features, train_labels)
  test, test_ids = _checked("test", test_features, test_labels)
  if not k or not temperature:
    raise errors.UsageError(
      f"kNN with k {list(k)} and temperature {list(temperature)}: expected at "
      "least one of each"
    )
  for value in temperature:
    if not value > 0:
      raise errors.UsageError(
        f"kNN temperature is {value}; it must be greater than 0"
      )
  neighbors.check_k(min(k), len(train))
  classes, columns = np.unique(train_ids, return_inverse=True)
  # The column of each test image's class; -1 for one that is not in training.
  own = np.searchsorted(classes, test_ids).clip(max=len(classes) - 1)
  own = np.where(classes[own] == test_ids, own, -1)
  parts = {(one, t): [] for one in k for t in temperature}
  step = max(1, _MAX_VOTES // len(classes))
  for start, similarity, index in neighbors.nearest(
    train, test, k=max(k), show_progress=show_progress
  ):
    voters = columns[index]  # [b, k]
    for first in range(0, len(voters), step):
      rows = slice(first, first + step)
      truth = own[start + first : start + first + len(voters[rows])]
      for (one, t), found in parts.items():
        votes = _votes(
          similarity[rows, :one], voters[rows, :one], len(classes), t
        )
        found.append(_guess(votes, truth))
  return {
    key: guesses_lib.Guesses(
      classes[np.concatenate([best for best, _ in found])],
      np.concatenate([rank for _, rank in found]),
    )
    for key, found in parts.items()
  }


def _guess(votes: np.ndarray, own: np.ndarray) -> guesses_lib.Guesses:
  """Columns with the most votes, and the ranks of the true ones; of [b, C]."""
  best, rank = guesses_lib.from_scores(votes, np.maximum(own, 0))
  mine = votes[np.arange(len(own)), np.maximum(own, 0)]
  has_votes = (mine > 0) & (own >= 0)
  return guesses_lib.Guesses(best, np.where(has_votes, rank, votes.shape[1]))


def _votes(
  similarity: np.ndarray,
  columns: np.ndarray,
  num_classes: int,
  temperature: float,
) -> np.ndarray:
  """Sums the neighbors' weights by class: [b, k] each -> [b, C] float64."""
  # The largest similarity of a row is taken off: the ratios of a row's votes
  # stay as they are, and exp cannot overflow however small the temperature.
  closeness = similarity.astype(np.float64)
  closeness = np.exp((closeness - closeness[:, :1]) / temperature)
  cells = np.arange(len(columns))[:, np.newaxis] * num_classes + columns
  votes = np.bincount(
    cells.ravel(),
    weights=closeness.ravel(),
    minlength=len(columns) * num_classes,
  )
  return votes.reshape(len(columns), num_classes)


def _checked(
  name: str, features: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns [N, D] and int64 [N], or says what is wrong with them."""
  if labels is None:
    raise errors.UsageError(
      f"{name}_labels is None; kNN needs a class id for every image"
    )
  features, labels = np.asarray(features), np.asarray(labels)
  if features.ndim != 2 or labels.shape != features.shape[:1]:
    raise errors.UsageError(
      f"{name}_features have shape {features.shape} and {name}_labels "
      f"{labels.shape}; expected [N, D] and [N]"
    )
  if not features.size:
    raise errors.UsageError(
      f"{name}_features are empty; kNN needs at least one labeled image"
    )
  if not np.issubdtype(labels.dtype, np.integer):
    raise errors.UsageError(
      f"{name}_labels are {labels.dtype}; expected integer class ids"
    )
  unlabeled = np.count_nonzero(labels < 0)
  if unlabeled:
    raise errors.UsageError(
      f"{unlabeled} of {len(labels)} {name}_labels are negative (unlabeled); "
      "kNN needs a class id >= 0 for every image: use a folder of class folders"
    )
  return features, labels.astype(np.int64)
