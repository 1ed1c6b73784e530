"""What a classifier says about test images: first guesses, and ranks."""

from typing import NamedTuple

import numpy as np


class Guesses(NamedTuple):
  """Guesses about M images of C classes.

  Attributes:
    best: [M] int64, the class that comes first.
    rank: [M] int64, how many classes come before the true one: 0 where `best`
      is right; C where the true one is not named at all.
  """

  best: np.ndarray
  rank: np.ndarray

  def accuracy(self, top: int = 1) -> float:
    """Share of images whose class is among the first `top`, 0..1."""
    return float(np.mean(self.rank < top))


def from_scores(scores: np.ndarray, labels: np.ndarray) -> Guesses:
  """Ranks classes by their scores, of equal ones the smallest id first.

  Args:
    scores: [M, C].
    labels: [M] int, 0..C-1.
  """
  mine = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)  # [M, 1]
  earlier = np.arange(scores.shape[1]) < labels[:, np.newaxis]
  rank = np.sum((scores > mine) | ((scores == mine) & earlier), axis=1)
  return Guesses(np.argmax(scores, axis=1), rank)


def confusion(
  best: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts [C, C] int64: images of each true class (rows) by first guess."""
  cells = np.bincount(
    labels * num_classes + best, minlength=num_classes * num_classes
  )
  return cells.reshape(num_classes, num_classes)
