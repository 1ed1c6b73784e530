"""Average precision of a ranking, by the three definitions in use.

They differ in how they read the curve of precision over recall:

    eleven points   PASCAL VOC until 2009 (Everingham et al. 2010, section 4.2):
                    mean, over recalls of 0, 0.1 to 1, of the best precision at
                    that recall or above
    area            VOC from 2010 on, and VISSL's linear SVMs: area under the
                    curve after each precision is raised to the best precision
                    at a higher recall
    steps           scikit-learn's average_precision_score: sum of precision
                    times the gain in recall, without raising; at most `area`

Equal scores form one step of the curve: the order within a tie does not matter.
"""

from typing import NamedTuple

import numpy as np
from sklearn import metrics

from tf_ssl import errors

_POINTS = 10  # Recalls above 0.
# A recall of k of n positives may be slightly less than the equal tenth, both
# rounded to binary fractions.
_ROUNDING = 1e-9


class AveragePrecision(NamedTuple):
  """Average precision of one class, or of C classes ([C] each).

  Values are 0..1, NaN for a class without positives.

  Attributes:
    eleven_points: VOC07's 11-point average precision.
    area: area under the raised curve.
    steps: scikit-learn's average precision.
  """

  eleven_points: np.ndarray | float
  area: np.ndarray | float
  steps: np.ndarray | float


def average_precision(
  scores: np.ndarray, targets: np.ndarray
) -> AveragePrecision:
  """Average precision of one class.

  Args:
    scores: [N] float, finite, higher for examples more likely of the class.
    targets: [N] int: 1 for the class, 0 for others, -1 for ignored examples,
      which count as absent.

  Returns:
    Floats; NaN without positives.

  Raises:
    UsageError: shapes or values are invalid.
  """
  scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
  errors.require(
    scores.ndim == 1 and scores.shape == targets.shape,
    f"scores have shape {scores.shape} and targets {targets.shape}; expected "
    "[N] each",
  )
  check_targets("targets", targets)
  counted = targets >= 0
  scores, targets = scores[counted], targets[counted]
  errors.require(
    np.isfinite(scores).all(),
    f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are NaN "
    "or infinite; the classifier has diverged",
  )
  if not targets.any():
    return AveragePrecision(np.nan, np.nan, np.nan)
  precision, recall, _ = metrics.precision_recall_curve(targets, scores)
  # From the highest score down, without scikit-learn's point at infinity.
  precision, recall = precision[-2::-1], recall[-2::-1]
  # Best precision at each recall or above.
  best = np.maximum.accumulate(precision[::-1])[::-1]
  gained = np.diff(recall, prepend=0.0)
  points = np.searchsorted(
    recall * _POINTS, np.arange(_POINTS + 1) - _ROUNDING, side="left"
  )
  return AveragePrecision(
    float(best[points].mean()),
    float(np.sum(gained * best)),
    float(np.sum(gained * precision)),
  )


def of_classes(scores: np.ndarray, targets: np.ndarray) -> AveragePrecision:
  """Average precision of each class.

  Args:
    scores: [N, C] float, finite.
    targets: [N, C] int: 1 present, 0 absent, -1 ignored.

  Returns:
    Arrays [C] float64.

  Raises:
    UsageError: shapes or values are invalid.
  """
  scores, targets = np.asarray(scores), np.asarray(targets)
  errors.require(
    scores.ndim == 2 and scores.shape == targets.shape,
    f"scores have shape {scores.shape} and targets {targets.shape}; expected "
    "[N, C] each",
  )
  found = [
    average_precision(*columns)
    for columns in zip(scores.T, targets.T, strict=True)
  ]
  return AveragePrecision(*np.array(found, np.float64).reshape(-1, 3).T)


def chance(
  targets: np.ndarray, *, draws: int = 20, seed: int = 0
) -> AveragePrecision:
  """Chance level: mean average precision of random scores.

  Args:
    targets: [N, C] int: 1 present, 0 absent, -1 ignored.
    draws: number of random rankings of each class.
    seed: seed of the rankings.

  Returns:
    Arrays [C] float64.
  """
  rng = np.random.default_rng(seed)
  drawn = [of_classes(rng.random(targets.shape), targets) for _ in range(draws)]
  return AveragePrecision(
    *(np.mean(each, axis=0) for each in zip(*drawn, strict=True))
  )


def check_targets(name: str, targets: np.ndarray) -> None:
  """Raises UsageError unless all targets are 1, 0 or -1.

  Args:
    name: name of the targets, for the error.
    targets: int of any shape.
  """
  errors.require(
    np.isin(targets, (-1, 0, 1)).all(),
    f"{name} have other values than 1 (present), 0 (absent) and -1 (ignored)",
  )
