"""How well pixels are told apart: IoU of classes, and accuracy."""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors


class Scores(NamedTuple):
  """Of a model on a set of images.

  Attributes:
    iou: [C], intersection over union of each class, 0..1; NaN for a class that
      is neither there nor predicted anywhere.
    mean_iou: of the classes that are there or predicted, 0..1.
    pixel_accuracy: share of the pixels whose class is right, 0..1.
  """

  iou: np.ndarray
  mean_iou: float
  pixel_accuracy: float


def confusion(
  truth: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts pixels by what they are and what they are taken for.

  Args:
    truth: int of any shape; classes, or negative for void, which is left out.
    predicted: int of the same shape; classes.
    num_classes: C.

  Returns:
    [C, C] int64, rows are the truth. Those of several images add up.

  Raises:
    UsageError: other shapes, or values that are no classes.
  """
  truth, predicted = np.asarray(truth), np.asarray(predicted)
  if truth.shape != predicted.shape:
    raise errors.UsageError(
      f"masks of {truth.shape} and predictions of {predicted.shape} cannot be "
      "compared; expected the same shape"
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
    counts: [C, C], from `confusion`.

  Raises:
    UsageError: it counts no pixel.
  """
  if not counts.sum():
    raise errors.UsageError(
      "there is no pixel with a class to measure on; expected masks that are "
      "not all void"
    )
  right = np.diag(counts).astype(np.float64)
  union = counts.sum(axis=0) + counts.sum(axis=1) - right
  iou = np.divide(
    right, union, out=np.full_like(right, np.nan), where=union > 0
  )
  return Scores(iou, float(np.nanmean(iou)), float(right.sum() / counts.sum()))
