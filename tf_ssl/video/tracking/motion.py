"""What moves against the background, and where a box goes, by optical flow.

The background's motion is an affine map fitted to the flow by RANSAC; what is
left over belongs to things that move by themselves, under a moving camera too.
The map is fitted near the border, where there is most often background.
"""

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib

_GRID = 8  # Pixels between the places that vote for the background's motion.
_BORDER = 0.2  # Shares of the width and height, at each side.
_INLIER = 1.5  # Pixels, at least,
_INLIER_SHARE = 0.2  # and this share of the median length of the flow.
_NOISE = 0.5  # Pixels; less is no motion.
_RETURN = 1.0  # Pixels that flow and flow back may miss, at least,
_RETURN_SHARE = 0.1  # and this share of the flow's length.


def flow(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
  """Where the pixels of `frame` are in `other`: DIS flow, medium preset.

  Args:
    frame: [H, W, 3] uint8.
    other: the same shape.

  Returns:
    [H, W, 2], dx and dy in pixels; zeros for a picture smaller than 16 pixels.
  """
  if min(frame.shape[:2]) < 16:
    return np.zeros([*frame.shape[:2], 2], np.float32)
  search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  gray = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (frame, other)]
  return search.calc(*gray, None)


def moved(boxes: np.ndarray, field: np.ndarray, back: np.ndarray) -> np.ndarray:
  """Moves each box by the median flow of its core, where that can be trusted.

  Where flow is right, the flow back leads to where it began (Kalal et al. 2010,
  "Forward-backward error"). Only such places vote, and a box of which fewer
  than half of the places are such stays where it is.

  Args:
    boxes: [A, 4] pixels.
    field: [H, W, 2], of `flow`, from the boxes' frame to the other.
    back: [H, W, 2], of `flow`, from the other frame to the boxes'.

  Returns:
    [A, 4], sizes as they were.
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
    right_way = error <= np.maximum(_RETURN, _RETURN_SHARE * length)
    if right_way.sum() * 2 >= max(len(places), 1):
      result[row] += np.tile(np.median(there[right_way], 0), 2)
  return result


def own_motion(field: np.ndarray) -> np.ndarray:
  """How far each pixel moves against the background.

  Args:
    field: [H, W, 2], of `flow`.

  Returns:
    [H, W] float32, 0..1, in units of the 95th percentile of the frame; noise of
    half a pixel is small in it.
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
      ransacReprojThreshold=max(_INLIER, _INLIER_SHARE * typical),
      maxIters=500,
    )
  if affine is None:
    affine = np.eye(2, 3)
  rest = field - (cv2.transform(places, affine) - places)
  length = np.hypot(rest[..., 0], rest[..., 1])
  return np.minimum(length / (np.percentile(length, 95) + _NOISE), 1)
