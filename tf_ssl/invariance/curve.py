"""How far an invariance reaches: the score over the factor's range."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import firing, firing_rule, image_sets
from tf_ssl.invariance import score as invariance

# Angles that were computed differ in the last digits from those written down.
_SLACK = 1e-6


class CurvePoint(NamedTuple):
  """The score within one range of the factor.

  Attributes:
    within: largest distance from the set's reference, in the factor's unit;
      infinity: all images.
    score: of the images within; None where it could not be measured.
    num_images: number of images within.
    reason: why `score` is None; "" otherwise.
  """

  within: float
  score: invariance.InvarianceScore | None
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
  """Scores the images near each set's reference, for wider and wider ranges.

  Each range is measured as a set of images of its own: thresholds and global
  firing rates are those of the images within. The firing fraction is the same
  for all ranges.

  Args:
    features: [N, D], as for `representation_invariance_score`.
    sets: [N].
    classes: [N] or None.
    factor: [N] float, what changes within a set, such as the view in degrees.
    ranges: distances from the reference, >= 0; infinity: all images.
    reference: "middle", the image in the middle of the set when it is sorted by
      the factor (the lower of two); "first", the first image of the set; or one
      value of the factor for all sets, such as 0.
    period: the factor comes back to the same after this much, 360 for degrees:
      then 350 and 10 are 20 apart. None: it does not.
    top_k: numbers of units.
    variant: "code" or "formula".
    firing_fraction: between 0 and 1; by default 1 / C, C the classes of all the
      images, and for `code` at least 0.05.

  Returns:
    One CurvePoint for each range, in their order. A range that leaves no set of
    3 images, or in which no unit fires, has no score but a reason.

  Raises:
    UsageError: as `representation_invariance_score`; factor values that are
      missing or not finite; ranges or period out of range; no range at all that
      can be measured.
  """
  top_k = invariance.checked_top_k(features, top_k)
  everything = image_sets.group(sets, classes, len(features))
  distance = _distances(sets, factor, reference, period)
  if any(not within >= 0 for within in ranges) or not len(ranges):
    raise errors.UsageError(
      f"ranges are {list(ranges)}; expected distances of at least 0 from the "
      "reference, such as (10, 30, 90, inf)"
    )
  points = []
  for within in map(float, ranges):
    rows = np.flatnonzero(distance <= within + _SLACK)
    try:
      groups = image_sets.group(sets, classes, len(features), rows=rows)
      rule = firing_rule.rule(
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
    reason = invariance.silence(fired, rule, len(rows))
    if reason:
      points.append(CurvePoint(within, None, len(rows), reason))
      continue
    score = invariance.score(fired, groups, rule, top_k)
    points.append(CurvePoint(within, score, len(rows), ""))
  if all(point.score is None for point in points):
    raise errors.UsageError(
      f"no range of {list(ranges)} can be measured; of the last: "
      f"{points[-1].reason}"
    )
  return points


def _distances(
  sets: np.ndarray,
  factor: np.ndarray,
  reference: str | float,
  period: float | None,
) -> np.ndarray:
  """[N] float64, how far each image is from its set's reference."""
  sets, factor = np.asarray(sets), np.asarray(factor)
  if factor.shape != sets.shape or factor.dtype.kind not in "fiu":
    raise errors.UsageError(
      f"factor is {factor.dtype} of shape {factor.shape} and there are "
      f"{len(sets)} images; expected one number for each, such as its view in "
      "degrees"
    )
  missing = np.count_nonzero(~np.isfinite(factor))
  if missing:
    raise errors.UsageError(
      f"{missing} of {len(factor)} factor values are NaN or infinite; leave "
      "out images of which the factor is not known"
    )
  if period is not None and not period > 0:
    raise errors.UsageError(
      f"period is {period}; expected the factor's full circle, such as 360, or "
      "None"
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
  """[N] or [], the factor's value at the reference of each image's set."""
  if reference == "first":
    _, first, of_row = np.unique(sets, return_index=True, return_inverse=True)
    return factor[first][of_row]
  if reference == "middle":
    _, of_row, sizes = np.unique(sets, return_inverse=True, return_counts=True)
    by_set = np.lexsort([factor, of_row])  # set after set, by factor in each
    starts = np.cumsum(sizes) - sizes
    return factor[by_set[starts + (sizes - 1) // 2]][of_row]
  if isinstance(reference, str) or not np.isfinite(reference):
    raise errors.UsageError(
      f"reference is {reference!r}; expected 'middle', 'first' or one value of "
      "the factor"
    )
  return np.float64(reference)
