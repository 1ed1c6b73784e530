"""Follows a grid of points and moves boxes by the votes of their points.

Points are followed by pyramidal Lucas-Kanade from image to image. A point keeps
its trajectory, so small errors are not added up by placing new points in every
image, and points that are lost between two images cost one box little.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

_PER_ROW = 48  # Points along the width of an image.
_WINDOW = 11  # Side of the window that is compared, pixels.
_LEVELS = 3  # Levels of the pyramid above the image.
_STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 6, 0.03)
_CORE = 0.9  # Part of a box whose points vote, of its width and height.
# Rounds of reweighted least squares. With wider tolerances in the first rounds,
# boxes follow objects that double their size in a second, but others less well.
_ROUNDS = 4
# Residual at which a point loses most of its weight: pixels, or a fraction of
# the sum of half the width and half the height if that is more.
_RESIDUAL = 0.7
_RESIDUAL_FRACTION = 0.03
_MIN_POINTS = 4  # A box with fewer does not move.
_SCALES = (0.4, 2.5)  # Range of the change of size.


class PointTracks(NamedTuple):
  """Trajectories of n points over T images, of which the first is the start.

  Attributes:
    places: [T, n, 2] float32, x and y in pixels.
    followed: [T, n] bool, whether a point has been followed up to each image
      without leaving it.
  """

  places: np.ndarray
  followed: np.ndarray


def follow(
  images: Sequence[np.ndarray], marks: Sequence[int] | None = None
) -> PointTracks:
  """Follows a grid of points of the first image through the others.

  Args:
    images: [H, W] uint8 each, gray, in the order in which they are followed,
      which may be the past.
    marks: ascending places in `images` at which trajectories are returned,
      beginning with 0; None for all.

  Returns:
    Trajectories at the marks.
  """
  height, width = images[0].shape
  step = max(width / _PER_ROW, 2.0)
  x, y = np.meshgrid(
    np.arange(step / 2, width, step), np.arange(step / 2, height, step)
  )
  here = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
  is_followed = np.ones(len(here), bool)
  places, followed = [here], [is_followed]
  for before, after in zip(images, images[1:], strict=False):
    there, found, _ = cv2.calcOpticalFlowPyrLK(
      before,
      after,
      here,
      None,
      winSize=(_WINDOW, _WINDOW),
      maxLevel=_LEVELS,
      criteria=_STOP,
    )
    inside = ((there >= 0) & (there < [width, height])).all(1)
    is_followed = is_followed & (found[:, 0] > 0) & inside
    here = there
    places.append(here)
    followed.append(is_followed)
  rows = list(range(len(places)) if marks is None else marks)
  return PointTracks(np.array(places)[rows], np.array(followed)[rows])


def moved(
  boxes: np.ndarray,
  before: np.ndarray,
  after: np.ndarray,
  followed: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
  """Moves and scales each box as most of the points in it do.

  A translation and a scale are fitted to the points in each box by iteratively
  reweighted least squares, starting at the median translation. With few points
  the scale stays near 1.

  Args:
    boxes: [A, 4], pixels.
    before: [n, 2], points in the image of the boxes, x and y in pixels.
    after: [n, 2], their places in the other image.
    followed: [n] bool, which points vote.

  Returns:
    [A, 4], boxes in the other image, and [A], the support: the weight of the
    points that agree with the motion, as a fraction of all points in the box,
    0..1. A box with fewer than four points does not move.
  """
  count = len(boxes)
  center = (boxes[:, :2] + boxes[:, 2:]) / 2
  half = np.maximum((boxes[:, 2:] - boxes[:, :2]) / 2, 1.0)
  core = _CORE * half
  within = np.ones([count, len(before)], bool)
  for axis in range(2):  # Faster than an array [A, n, 2].
    away = np.abs(before[:, axis] - center[:, axis, None])
    within &= away <= core[:, axis, None]
  row, column = np.nonzero(within & followed)  # Sorted by row.
  start = before.T[:, column].astype(float)  # [2, m]
  end = after.T[:, column].astype(float)

  def sums(values):
    return np.stack([np.bincount(row, v, count) for v in values])

  points = np.bincount(row, minlength=count)
  mean, target = center.T, center.T + _medians(end - start, row, points)
  scale = np.ones(count)
  spread = np.maximum(_RESIDUAL_FRACTION * half.sum(1), _RESIDUAL)
  tolerance = (spread**2)[row]
  prior = (half**2).sum(1) / 2  # Of the scale 1, as strong as a few points.
  weight = np.zeros(len(row))
  near, far = start - mean[:, row], end - target[:, row]
  for _ in range(_ROUNDS):
    residual = ((far - scale[row] * near) ** 2).sum(0) / tolerance
    weight = 1 / ((1 + residual) * np.sqrt(1 + residual))
    total = np.maximum(np.bincount(row, weight, count), 1e-6)
    mean, target = sums(weight * start) / total, sums(weight * end) / total
    near, far = start - mean[:, row], end - target[:, row]
    alike = np.bincount(row, weight * (near * far).sum(0), count)
    size = np.bincount(row, weight * (near * near).sum(0), count)
    scale = np.clip((alike + prior) / (size + prior), *_SCALES)
  middle = target.T + scale[:, None] * (center - mean.T)
  reach = scale[:, None] * half
  result = np.concatenate([middle - reach, middle + reach], 1)
  result[points < _MIN_POINTS] = boxes[points < _MIN_POINTS]
  support = np.bincount(row, weight, count) / np.maximum(within.sum(1), 1)
  return result, support


def _medians(
  values: np.ndarray, row: np.ndarray, points: np.ndarray
) -> np.ndarray:
  """Returns the medians [2, A] of the values [2, m] of each box; 0 of none."""
  boxes = np.arange(len(points))
  place = np.arange(len(row)) - (np.cumsum(points) - points)[row]
  table = np.full([2, len(points), points.max(initial=1)], np.inf)
  table[:, row, place] = values
  table.sort()
  return np.where(points > 0, table[:, boxes, points // 2], 0.0)
