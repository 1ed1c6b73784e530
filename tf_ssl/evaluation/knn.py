"""Weighted k-nearest-neighbour classification of frozen features."""

import numpy as np
import tensorflow as tf

from tf_ssl import errors

# Similarities held at once: 2**24 float32 are 64 MiB.
_MAX_SIMILARITIES = 2**24


def knn_accuracy(
  train_features: np.ndarray,
  train_labels: np.ndarray,
  test_features: np.ndarray,
  test_labels: np.ndarray,
  *,
  k: int = 20,
  temperature: float = 0.1,
) -> float:
  """Share of test images whose class their k nearest neighbours name.

  The protocol of InstDisc (Wu et al. 2018, section 3.4), and of MoCo's CIFAR-10
  notebook: cosine similarity s to every training feature; the k most similar
  vote for their class with weight exp(s / temperature). The search is exact. Of
  equally similar neighbours the one that comes first in the training set is
  taken; of classes with equal votes, the one with the smallest id.

  Args:
    train_features: [N, D] float, any length; NumPy arrays or tensors.
    train_labels: [N] int, class ids >= 0.
    test_features: [M, D] float.
    test_labels: [M] int, class ids >= 0.
    k: number of neighbours, 1..N.
    temperature: > 0; a large value gives every neighbour the same vote.

  Returns:
    Accuracy, 0..1.

  Raises:
    UsageError: features that do not fit together or are not finite, missing or
      negative labels, k or temperature out of range.
  """
  train, train_ids = _checked("train", train_features, train_labels)
  test, test_ids = _checked("test", test_features, test_labels)
  if train.shape[1] != test.shape[1]:
    raise errors.UsageError(
      f"train_features are {train.shape[1]} wide and test_features "
      f"{test.shape[1]}; both must come from the same encoder"
    )
  if not 1 <= k <= len(train):
    raise errors.UsageError(
      f"k = {k} neighbours were asked for among {len(train)} labelled images; "
      "k must be at least 1 and at most their number"
    )
  if not temperature > 0:
    raise errors.UsageError(
      f"kNN temperature is {temperature}; it must be greater than 0"
    )
  classes, columns = np.unique(train_ids, return_inverse=True)
  bank = tf.math.l2_normalize(train, axis=1)  # [N, D]
  rows = max(1, _MAX_SIMILARITIES // len(train))
  correct = 0
  for start in range(0, len(test), rows):
    queries = tf.math.l2_normalize(test[start : start + rows], axis=1)
    similarity = tf.matmul(queries, bank, transpose_b=True)  # [b, N]
    similarity, neighbours = tf.math.top_k(similarity, k)  # [b, k] each
    votes = _votes(
      similarity.numpy(), columns[neighbours.numpy()], len(classes), temperature
    )
    predicted = classes[np.argmax(votes, axis=1)]  # [b]
    correct += int(np.sum(predicted == test_ids[start : start + rows]))
  return correct / len(test)


def _votes(
  similarity: np.ndarray,
  columns: np.ndarray,
  num_classes: int,
  temperature: float,
) -> np.ndarray:
  """Sums the neighbours' weights by class: [b, k] each -> [b, C] float64."""
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
  """Returns float32 [N, D] and int64 [N], or says what is wrong with them."""
  if labels is None:
    raise errors.UsageError(
      f"{name}_labels is None; kNN needs a class id for every image"
    )
  features = np.asarray(features, np.float32)
  labels = np.asarray(labels)
  if features.ndim != 2 or labels.shape != features.shape[:1]:
    raise errors.UsageError(
      f"{name}_features have shape {features.shape} and {name}_labels "
      f"{labels.shape}; expected [N, D] and [N]"
    )
  if not features.size:
    raise errors.UsageError(
      f"{name}_features are empty; kNN needs at least one labelled image"
    )
  bad = np.count_nonzero(~np.isfinite(features).all(axis=1))
  if bad:
    raise errors.UsageError(
      f"{bad} of {len(features)} rows of {name}_features hold NaN or infinity; "
      "the encoder that made them has diverged, or its weights are damaged"
    )
  if not np.issubdtype(labels.dtype, np.integer):
    raise errors.UsageError(
      f"{name}_labels are {labels.dtype}; expected integer class ids"
    )
  unlabelled = np.count_nonzero(labels < 0)
  if unlabelled:
    raise errors.UsageError(
      f"{unlabelled} of {len(labels)} {name}_labels are negative (unlabelled); "
      "kNN needs a class id >= 0 for every image: use a folder of class folders"
    )
  return features, labels.astype(np.int64)
