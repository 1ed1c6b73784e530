"""Weighted k-nearest-neighbor classification of frozen features."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.evaluation import predictions
from tf_ssl.evaluation.knn import neighbors

_MAX_VOTES = 2**22  # float64 in memory at once: 32 MiB.


def knn_accuracy(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  k: int = 20,
  temperature: float = 0.1,
) -> float:
  """Top-1 accuracy of weighted kNN, 0..1; arguments as for `classify`."""
  found = classify(
    train_features,
    train_labels,
    test_features,
    test_labels,
    k=[k],
    temperature=[temperature],
  )
  return found[k, temperature].accuracy()


def classify(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  k: Sequence[int],
  temperature: Sequence[float],
  show_progress: bool = False,
) -> Mapping[tuple[int, float], predictions.Predictions]:
  """Classifies test images by a weighted vote of the nearest training images.

  The protocol of InstDisc (Wu et al. 2018, section 3.4), and of MoCo's CIFAR-10
  notebook: the k training features with the highest cosine similarity s vote
  for their class with weight exp(s / temperature). The search is exact. Ties
  between neighbors go to the earlier training image, ties between classes to
  the smaller class id. One search serves all k and temperatures.

  Args:
    train_features: [N, D] float, of any length; arrays, tensors or memory maps,
      of which one chunk at a time is in memory.
    train_labels: [N] int, class ids >= 0.
    test_features: [M, D] float, of any length.
    test_labels: [M] int, class ids >= 0.
    k: numbers of neighbors, 1..N.
    temperature: temperatures > 0; a large one weights all neighbors equally.
    show_progress: whether a longer search shows a progress bar.

  Returns:
    Predictions for each pair (k, temperature). A class without votes has no
    score.

  Raises:
    UsageError: shapes do not match, features are not finite, labels are missing
      or negative, or k or temperature is out of range.
  """
  train, train_ids = _checked("train", train_features, train_labels)
  test, test_ids = _checked("test", test_features, test_labels)
  errors.require(
    k and temperature,
    f"kNN with k {list(k)} and temperature {list(temperature)}: expected at "
    "least one of each",
  )
  for value in temperature:
    errors.require(
      value > 0, f"kNN temperature is {value}; it must be greater than 0"
    )
  neighbors.check_k(min(k), len(train))
  classes, columns = np.unique(train_ids, return_inverse=True)
  # Column of each test image's class; -1 for a class without training images.
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
        found.append(_ranked(votes, truth))
  return {
    key: predictions.Predictions(
      classes[np.concatenate([best for best, _ in found])],
      np.concatenate([rank for _, rank in found]),
    )
    for key, found in parts.items()
  }


def _ranked(votes: np.ndarray, own: np.ndarray) -> predictions.Predictions:
  """Predicted columns of votes [b, C], and ranks of the true columns [b]."""
  best, rank = predictions.from_scores(votes, np.maximum(own, 0))
  mine = votes[np.arange(len(own)), np.maximum(own, 0)]
  has_votes = (mine > 0) & (own >= 0)
  return predictions.Predictions(
    best, np.where(has_votes, rank, votes.shape[1])
  )


def _votes(
  similarity: np.ndarray,
  columns: np.ndarray,
  num_classes: int,
  temperature: float,
) -> np.ndarray:
  """Sums the neighbors' weights by class: [b, k] each -> [b, C] float64."""
  # Subtracting each row's largest similarity keeps the ratios of its votes, and
  # exp cannot overflow at any temperature.
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
  """Features [N, D] and int64 labels [N]; raises UsageError for others."""
  errors.require(
    labels is not None,
    f"{name}_labels is None; kNN needs a class id for every image",
  )
  features, labels = np.asarray(features), np.asarray(labels)
  errors.require(
    features.ndim == 2 and labels.shape == features.shape[:1],
    f"{name}_features have shape {features.shape} and {name}_labels "
    f"{labels.shape}; expected [N, D] and [N]",
  )
  errors.require(
    features.size,
    f"{name}_features are empty; kNN needs at least one labeled image",
  )
  errors.require(
    np.issubdtype(labels.dtype, np.integer),
    f"{name}_labels are {labels.dtype}; expected integer class ids",
  )
  unlabeled = np.count_nonzero(labels < 0)
  errors.require(
    not unlabeled,
    f"{unlabeled} of {len(labels)} {name}_labels are negative (unlabeled); kNN "
    "needs a class id >= 0 for every image: use a folder of class folders",
  )
  return features, labels.astype(np.int64)
