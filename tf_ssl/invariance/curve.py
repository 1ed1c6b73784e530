"""Invariance score over growing ranges of the factor. NumPy only."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import firing, image_sets
from tf_ssl.invariance import score as score_lib

# Computed angles differ in the last digits from those in `ranges`.
_SLACK = 1e-6


class CurvePoint(NamedTuple):
  """The score within one range of the factor.

  Attributes:
    within: largest distance from the set's reference, in the factor's unit;
      infinity for all images.
    score: score of the images within the range; None if it could not be
      measured.
    num_images: number of images within the range.
    reason: why `score` is None; "" otherwise.
  """

  within: float
  score: score_lib.InvarianceScore | None
  num_images: int
  reason: str


def invariance_curve(
  features: np.ndarray,
  sets: np.ndarray,
  classes: np.ndarray | None,
  factor: np.ndarray,
  ranges: Sequence[float],
  *,
  reference: str | float = "middle",
  period: float | None = None,
  top_k: Sequence[int] = (10, 25),
  variant: str = "code",
  firing_fraction: float | None = None,
) -> list[CurvePoint]:
  """Scores the images near each set's reference, range by range.

  Each range is measured by itself: its thresholds and global firing rates are
  those of its images. All ranges share the firing fraction.

  Args:
    features: [N, D] float, array or memory map.
    sets: [N], number or name of each image's set.
    classes: [N], number or name of each image's class; None makes each set a
      class.
    factor: [N] float, value that changes within a set, such as the view in
      degrees.
    ranges: distances from the reference, >= 0; infinity for all images.
    reference: "middle" for the median image of the set by the factor (the lower
      of two), "first" for the first image of the set, or one value of the
      factor for all sets, such as 0.
    period: period of the factor, such as 360 degrees, so that 350 and 10 are 20
      apart; None if it has none.
    top_k: numbers of units, K.
    variant: "code" or "formula".
    firing_fraction: share of images on which a unit fires, between 0 and 1;
      None for 1 / C with C classes among all images, and for `code` at least
      0.05.

  Returns:
    One CurvePoint per range, in order. A range without a set of 3 images, or
    without a firing unit, has a reason instead of a score.

  Raises:
    UsageError: factor values are missing or not finite, ranges or period are
      out of range, no range can be measured, or another argument is refused by
      `score.representation_invariance_score`.
  """
  top_k = score_lib.checked_top_k(features, top_k)
  everything = image_sets.group(sets, classes, len(features))
  distance = _distances(sets, factor, reference, period)
  errors.require(
    len(ranges) and all(within >= 0 for within in ranges),
    f"ranges are {list(ranges)}; expected distances of at least 0 from the "
    "reference, such as (10, 30, 90, inf)",
  )
  points = []
  for within in map(float, ranges):
    rows = np.flatnonzero(distance <= within + _SLACK)
    try:
      groups = image_sets.group(sets, classes, len(features), rows=rows)
      rule = firing.rule(
        variant,
        firing_fraction,
        num_images=len(rows),
        num_classes=len(everything.classes),
      )
    except errors.UsageError as error:
      points.append(CurvePoint(within, None, len(rows), str(error)))
      continue
    fired = firing.measure(
      features,
      groups.membership[np.newaxis],
      len(groups.ids),
      rank=rule.rank,
      rows=rows,
    )
    reason = score_lib.silence(fired, rule, len(rows))
    if reason:
      points.append(CurvePoint(within, None, len(rows), reason))
      continue
    score = score_lib.score(fired, groups, rule, top_k)
    points.append(CurvePoint(within, score, len(rows), ""))
  errors.require(
    any(point.score is not None for point in points),
    f"no range of {list(ranges)} can be measured; the last range: "
    f"{points[-1].reason}",
  )
  return points


def _distances(
  sets: np.ndarray,
  factor: np.ndarray,
  reference: str | float,
  period: float | None,
) -> np.ndarray:
  """[N] float64, distance of each image from its set's reference."""
  sets, factor = np.asarray(sets), np.asarray(factor)
  if factor.shape != sets.shape or factor.dtype.kind not in "fiu":
    raise errors.UsageError(
      f"factor is {factor.dtype} of shape {factor.shape} and there are "
      f"{len(sets)} images; expected one number for each, such as its view in "
      "degrees"
    )
  missing = np.count_nonzero(~np.isfinite(factor))
  errors.require(
    not missing,
    f"{missing} of {len(factor)} factor values are NaN or infinite; remove "
    "images whose factor is unknown",
  )
  errors.require(
    period is None or period > 0,
    f"period is {period}; expected a positive period, such as 360, or None",
  )
  factor = factor.astype(np.float64)
  distance = np.abs(factor - _references(sets, factor, reference))
  if period is not None:
    distance %= period
    distance = np.minimum(distance, period - distance)
  return distance


def _references(
  sets: np.ndarray, factor: np.ndarray, reference: str | float
) -> np.ndarray:
  """[N] or [], factor of the reference of each image's set."""
  if reference == "first":
    _, first, of_row = np.unique(sets, return_index=True, return_inverse=True)
    return factor[first][of_row]
  if reference == "middle":
    _, of_row, sizes = np.unique(sets, return_inverse=True, return_counts=True)
    by_set = np.lexsort([factor, of_row])  # By set, then by factor.
    starts = np.cumsum(sizes) - sizes
    return factor[by_set[starts + (sizes - 1) // 2]][of_row]
  if isinstance(reference, str) or not np.isfinite(reference):
    raise errors.UsageError(
      f"reference is {reference!r}; expected 'middle', 'first' or one value of "
      "the factor"
    )
  return np.float64(reference)
