"""Predicted classes of test images, and the ranks of the true classes."""

from typing import NamedTuple

import numpy as np


class Predictions(NamedTuple):
  """Predictions for M labeled images of C classes.

  Attributes:
    best: [M] int64, class with the highest score.
    rank: [M] int64, number of classes that score higher than the true class: 0
      for a correct prediction, C if the true class has no score at all.
  """

  best: np.ndarray
  rank: np.ndarray

  def accuracy(self, top: int = 1) -> float:
    """Fraction of images whose true class is among the first `top`, 0..1."""
    return float(np.mean(self.rank < top))


def from_scores(scores: np.ndarray, labels: np.ndarray) -> Predictions:
  """Ranks the classes by score; ties go to the smaller class id.

  Args:
    scores: [M, C] scores of the classes.
    labels: [M] int, true classes, 0..C-1.
  """
  mine = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)  # [M, 1]
  earlier = np.arange(scores.shape[1]) < labels[:, np.newaxis]
  rank = np.sum((scores > mine) | ((scores == mine) & earlier), axis=1)
  return Predictions(np.argmax(scores, axis=1), rank)
