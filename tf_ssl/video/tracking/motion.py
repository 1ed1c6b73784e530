"""Optical flow, motion relative to the background, and motion of boxes.

The motion of the background is an affine map fitted to the flow by RANSAC. The
residual is the motion of objects, also under a moving camera. The map is fitted
near the image border, where background is most likely.
"""

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib

_GRID = 8  # Pixels between the points to which the background is fitted.
_BORDER = 0.2  # Width of the border, as a fraction of the width and height.
# RANSAC's tolerance: pixels, or a fraction of the median flow if that is more.
_INLIER = 1.5
_INLIER_FRACTION = 0.2
_NOISE = 0.5  # Pixels; shorter residuals are noise.
# Tolerance of flow there and back: pixels, or a fraction of the flow if more.
_RETURN = 1.0
_RETURN_FRACTION = 0.1


def flow(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
  """Computes the optical flow from `frame` to `other`: DIS, medium preset.

  Args:
    frame: [H, W, 3] uint8.
    other: [H, W, 3] uint8.

  Returns:
    [H, W, 2], dx and dy in pixels; zeros for images smaller than 16 pixels.
  """
  if min(frame.shape[:2]) < 16:
    return np.zeros([*frame.shape[:2], 2], np.float32)
  search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  gray = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (frame, other)]
  return search.calc(*gray, None)


def moved(boxes: np.ndarray, field: np.ndarray, back: np.ndarray) -> np.ndarray:
  """Moves each box by the median flow of its central part, where reliable.

  Flow is reliable at a point if the flow back returns to the point (Kalal et
  al. 2010, "Forward-backward error"). The median is over such points; a box
  with fewer than half of them does not move.

  Args:
    boxes: [A, 4], pixels.
    field: [H, W, 2], `flow` from the boxes' frame to the other.
    back: [H, W, 2], `flow` from the other frame to the boxes' frame.

  Returns:
    [A, 4], boxes of the original size.
  """
  height, width = field.shape[:2]
  result = boxes.copy()
  core = np.rint(boxes_lib.grow(boxes, 0.6)).astype(int)
  for row, (left, top, right, bottom) in enumerate(core):
    x, y = np.clip([left, right], 0, width), np.clip([top, bottom], 0, height)
    steps = max((y[1] - y[0]) // 12, 1), max((x[1] - x[0]) // 12, 1)
    places = np.mgrid[y[0] : y[1] : steps[0], x[0] : x[1] : steps[1]]
    places = places.reshape(2, -1)[::-1].T  # [n, 2], x and y
    there = field[places[:, 1], places[:, 0]].astype(np.float32)
    ends = np.rint(places + there).astype(int)
    inside = ((ends >= 0) & (ends < [width, height])).all(1)
    there, ends = there[inside], ends[inside]
    error = np.linalg.norm(there + back[ends[:, 1], ends[:, 0]], axis=1)
    length = np.linalg.norm(there, axis=1)
    returns = error <= np.maximum(_RETURN, _RETURN_FRACTION * length)
    if returns.sum() * 2 >= max(len(places), 1):
      result[row] += np.tile(np.median(there[returns], 0), 2)
  return result


def own_motion(field: np.ndarray) -> np.ndarray:
  """Computes the motion of each pixel relative to the background.

  Args:
    field: [H, W, 2], from `flow`.

  Returns:
    [H, W] float32, 0..1, in units of the frame's 95th percentile plus half a
    pixel, so that noise stays small.
  """
  height, width = field.shape[:2]
  places = np.stack(
    np.meshgrid(np.arange(width), np.arange(height)), -1
  ).astype(np.float32)
  half = _GRID // 2
  start = places[half::_GRID, half::_GRID].reshape(-1, 2)
  steps = field[half::_GRID, half::_GRID].reshape(-1, 2)
  share = np.minimum(start / [width, height], 1 - start / [width, height])
  near_border = share.min(1, initial=1) < _BORDER
  start, steps = start[near_border], steps[near_border]
  affine = None
  if len(start) >= 3:
    cv2.setRNGSeed(0)
    typical = np.median(np.hypot(steps[:, 0], steps[:, 1]))
    affine, _ = cv2.estimateAffine2D(
      start,
      start + steps,
      ransacReprojThreshold=max(_INLIER, _INLIER_FRACTION * typical),
      maxIters=500,
    )
  if affine is None:
    affine = np.eye(2, 3)
  rest = field - (cv2.transform(places, affine) - places)
  length = np.hypot(rest[..., 0], rest[..., 1])
  return np.minimum(length / (np.percentile(length, 95) + _NOISE), 1)
