"""Average precision of a ranking, in the three ways that are in use.

They differ in what they make of the curve of precision over recall:

    eleven points   PASCAL VOC until 2009 (Everingham et al. 2010, section 4.2):
                    the mean, over recalls of 0, 0.1 to 1, of the best precision
                    at that recall or beyond
    area            VOC from 2010 on, and VISSL's linear SVMs: the area under
                    the curve after each precision is raised to the best one
                    beyond it
    steps           scikit-learn's average_precision_score: the sum of precision
                    times the recall gained, raised nowhere; never above area

Equal scores are one step of the curve: the order within a tie means nothing.
"""

from typing import NamedTuple

import numpy as np
from sklearn import metrics

from tf_ssl import errors

_POINTS = 10  # And 0.
# k of n positives found is a recall of k / n, which as a binary fraction may
# lie below the tenth that it is equal to.
_ROUNDING = 1e-9


class AveragePrecision(NamedTuple):
  """Of one class, or [C] of several; 0..1, NaN where it is not defined.

  Attributes:
    eleven_points: see above.
    area: the same.
    steps: the same.
  """

  eleven_points: np.ndarray | float
  area: np.ndarray | float
  steps: np.ndarray | float


def average_precision(
  scores: np.ndarray, targets: np.ndarray
) -> AveragePrecision:
  """Average precision of one class.

  Args:
    scores: [N] float, higher where the class is more likely; finite.
    targets: [N] int: 1 shows the class, 0 does not, -1 is ignored, as if the
      example were not there.

  Returns:
    Floats; NaN without an example of the class.

  Raises:
    UsageError: other shapes or values.
  """
  scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
  if scores.ndim != 1 or scores.shape != targets.shape:
    raise errors.UsageError(
      f"scores have shape {scores.shape} and targets {targets.shape}; expected "
      "[N] each"
    )
  if not np.isin(targets, (-1, 0, 1)).all():
    raise errors.UsageError(
      "targets hold other values than 1 (shows the class), 0 (does not) and -1 "
      "(ignored)"
    )
  counted = targets >= 0
  scores, targets = scores[counted], targets[counted]
  if not np.isfinite(scores).all():
    raise errors.UsageError(
      f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are "
      "NaN or infinite; the classifier has diverged"
    )
  if not targets.any():
    return AveragePrecision(np.nan, np.nan, np.nan)
  precision, recall, _ = metrics.precision_recall_curve(targets, scores)
  # From the highest score down; scikit-learn's last point, of no threshold, is
  # left out.
  precision, recall = precision[-2::-1], recall[-2::-1]
  # The best precision at each recall or beyond.
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
    scores: [N, C], as for `average_precision`.
    targets: [N, C], the same.

  Returns:
    Arrays [C] float64.

  Raises:
    UsageError: as `average_precision`.
  """
  scores, targets = np.asarray(scores), np.asarray(targets)
  if scores.ndim != 2 or scores.shape != targets.shape:
    raise errors.UsageError(
      f"scores have shape {scores.shape} and targets {targets.shape}; expected "
      "[N, C] each"
    )
  found = [
    average_precision(*columns)
    for columns in zip(scores.T, targets.T, strict=True)
  ]
  return AveragePrecision(*np.array(found, np.float64).reshape(-1, 3).T)


def chance(
  targets: np.ndarray, *, draws: int = 20, seed: int = 0
) -> AveragePrecision:
  """What scores that mean nothing reach, on average.

  Args:
    targets: [N, C], as for `of_classes`.
    draws: how many rankings are drawn of each class.
    seed: of the draws.

  Returns:
    Arrays [C] float64.
  """
  rng = np.random.default_rng(seed)
  drawn = [of_classes(rng.random(targets.shape), targets) for _ in range(draws)]
  return AveragePrecision(
    *(np.mean(each, axis=0) for each in zip(*drawn, strict=True))
  )
