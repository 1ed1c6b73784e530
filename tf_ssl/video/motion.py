"""What moves against the background, and where a box goes, by optical flow.

The background's motion is an affine map fitted to the flow by RANSAC; what is
left over belongs to things that move by themselves, under a moving camera too.
"""

import cv2
import numpy as np

from tf_ssl.video import boxes as boxes_lib

_GRID = 8  # Pixels between the places that vote for the background's motion.
_INLIER = 1.5  # Pixels.
_NOISE = 0.5  # Pixels; less is no motion.


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
  grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (frame, other)]
  return search.calc(*grey, None)


def moved(boxes: np.ndarray, field: np.ndarray) -> np.ndarray:
  """Moves each box by the median flow of its core.

  Args:
    boxes: [A, 4] pixels.
    field: [H, W, 2], of `flow`.

  Returns:
    [A, 4], sizes as they were.
  """
  height, width = field.shape[:2]
  result = boxes.copy()
  core = np.rint(boxes_lib.grow(boxes, 0.6)).astype(int)
  for row, (left, top, right, bottom) in enumerate(core):
    x, y = np.clip([left, right], 0, width), np.clip([top, bottom], 0, height)
    steps = max((y[1] - y[0]) // 12, 1), max((x[1] - x[0]) // 12, 1)
    inside = field[y[0] : y[1] : steps[0], x[0] : x[1] : steps[1]]
    if inside.size:
      result[row] += np.tile(np.median(inside.reshape(-1, 2), 0), 2)
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
  end = start + field[half::_GRID, half::_GRID].reshape(-1, 2)
  affine = None
  if len(start) >= 3:
    cv2.setRNGSeed(0)
    affine, _ = cv2.estimateAffine2D(
      start, end, ransacReprojThreshold=_INLIER, maxIters=500
    )
  if affine is None:
    affine = np.eye(2, 3)
  rest = field - (cv2.transform(places, affine) - places)
  length = np.hypot(rest[..., 0], rest[..., 1])
  return np.minimum(length / (np.percentile(length, 95) + _NOISE), 1)


def moving_regions(
  motion: np.ndarray, *, thresholds: tuple[float, ...] = (0.3, 0.5, 0.7)
) -> np.ndarray:
  """Boxes of the connected areas that move more than a threshold.

  Args:
    motion: [H, W] 0..1, of `own_motion`.
    thresholds: one set of boxes each.

  Returns:
    [R, 4] pixels; none of an area that fills less than a quarter of its box.
  """
  found = [np.zeros([0, 4])]
  for threshold in thresholds:
    above = (motion > threshold).astype(np.uint8)
    _, _, areas, _ = cv2.connectedComponentsWithStats(above)
    x, y, width, height, pixels = areas[1:].T.astype(float)
    dense = pixels > 0.25 * width * height
    found.append(np.stack([x, y, x + width, y + height], 1)[dense])
  return np.concatenate(found)


def integral(motion: np.ndarray) -> np.ndarray:
  """[H, W] -> [H+1, W+1] running sums, as `contrast` wants them."""
  return cv2.integral(motion.astype(np.float32))


def contrast(
  sums: np.ndarray, boxes: np.ndarray, *, area_power: float
) -> np.ndarray:
  """How much more moves inside of a box than in a frame around it.

  Args:
    sums: [H+1, W+1], of `integral`.
    boxes: [..., 4] pixels.
    area_power: the larger, the more large boxes are preferred; 0 is none.

  Returns:
    [...], -1..1: mean motion in the box less the mean between it and the box
    half as large again, times (share of the image's area) ** area_power.
  """
  inside, pixels = _sums_in(sums, boxes)
  outer, outer_pixels = _sums_in(sums, boxes_lib.grow(boxes, 1.5))
  around = (outer - inside) / np.maximum(outer_pixels - pixels, 1)
  difference = inside / np.maximum(pixels, 1) - around
  height, width = sums.shape[0] - 1, sums.shape[1] - 1
  share = boxes_lib.area(boxes) / (height * width)
  return difference * np.maximum(share, 1e-6) ** area_power


def _sums_in(sums: np.ndarray, boxes: np.ndarray):
  height, width = sums.shape[0] - 1, sums.shape[1] - 1
  edges = np.rint(boxes_lib.clip(boxes, (height, width))).astype(int)
  left, top, right, bottom = np.moveaxis(edges, -1, 0)
  total = (
    sums[bottom, right]
    - sums[top, right]
    - sums[bottom, left]
    + sums[top, left]
  )
  return total, (right - left) * (bottom - top)
