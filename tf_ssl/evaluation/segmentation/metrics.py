"""Scores of predicted masks: intersection over union and pixel accuracy."""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors


class Scores(NamedTuple):
  """Scores of a model on a set of images.

  Attributes:
    iou: [C] float64, intersection over union of each class, 0..1; NaN for a
      class that neither occurs nor is predicted.
    mean_iou: mean IoU of the classes that occur or are predicted, 0..1.
    pixel_accuracy: share of pixels with the correct class, 0..1.
  """

  iou: np.ndarray
  mean_iou: float
  pixel_accuracy: float


def confusion(
  truth: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts pixels by true and predicted class.

  Much faster than scikit-learn's, which checks and sorts its input.

  Args:
    truth: int array of any shape, class of each pixel; negative for void, which
      does not count.
    predicted: int array of the same shape, predicted class of each pixel.
    num_classes: C.

  Returns:
    [C, C] int64, number of pixels by true class (rows) and predicted class. The
    matrices of several images can be added.

  Raises:
    UsageError: the shapes differ, or a value is not a class.
  """
  truth, predicted = np.asarray(truth), np.asarray(predicted)
  if truth.shape != predicted.shape:
    raise errors.UsageError(
      f"masks have the shape {truth.shape}, predictions {predicted.shape}; "
      "expected the same shape"
    )
  counted = truth >= 0
  truth, predicted = truth[counted], predicted[counted]
  for name, values in (("masks", truth), ("predictions", predicted)):
    if values.size and not 0 <= values.min() <= values.max() < num_classes:
      raise errors.UsageError(
        f"{name} have the class {values.max()} (or {values.min()}); expected 0 "
        f"to {num_classes - 1}"
      )
  places = truth.astype(np.int64) * num_classes + predicted
  return np.bincount(places, minlength=num_classes**2).reshape(
    num_classes, num_classes
  )


def scores(counts: np.ndarray) -> Scores:
  """Summarizes a confusion matrix.

  Args:
    counts: [C, C] int, result of `confusion`.

  Raises:
    UsageError: no pixel counts.
  """
  errors.require(
    counts.sum(),
    "no pixel of the test masks has a class; expected masks that are not all "
    "void",
  )
  right = np.diag(counts).astype(np.float64)
  union = counts.sum(axis=0) + counts.sum(axis=1) - right
  iou = np.divide(
    right, union, out=np.full_like(right, np.nan), where=union > 0
  )
  return Scores(iou, float(np.nanmean(iou)), float(right.sum() / counts.sum()))
