"""Saliency of moving objects, from motion and color.

Motion alone misses objects that pause or move with the camera, and its borders
are blurred. The colors of moving pixels, compared with all others, fill the
gaps (as in Papazoglou & Ferrari 2013, section 3.2, without their graph cut).
"""

from collections.abc import Sequence

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib

_BINS = 16  # Bins of each channel of CIE L*a*b*.
_RANGES = ((0, 256), (88, 168), (88, 168))  # L, a and b that images use.
_PRIOR = 20  # Pixels of mean motion added to each color.


def saliency(
  frames: Sequence[np.ndarray], moves: Sequence[np.ndarray], *, reach: int = 4
) -> list[np.ndarray]:
  """Averages the motion of each pixel and the motion of its color.

  Args:
    frames: T images [H, W, 3] uint8 of one shot.
    moves: T maps [H, W], 0..1, from `motion.own_motion`.
    reach: number of frames before and after from which colors are also learned.

  Returns:
    T maps [H, W] float32, 0..1.
  """
  codes = [_codes(frame) for frame in frames]
  # Squared, because weak motion is mostly noise.
  moving = np.array(
    [
      np.bincount(code.ravel(), move.ravel() ** 2, _BINS**3)
      for code, move in zip(codes, moves, strict=True)
    ]
  )
  counts = np.array(
    [np.bincount(code.ravel(), minlength=_BINS**3) for code in codes]
  )
  result = []
  for t, (code, move) in enumerate(zip(codes, moves, strict=True)):
    near = slice(max(t - reach, 0), t + reach + 1)
    total, pixels = moving[near].sum(0), counts[near].sum(0)
    average = total.sum() / pixels.sum()
    share = (total + _PRIOR * average) / (pixels + _PRIOR)
    color = cv2.GaussianBlur(share[code].astype(np.float32), (0, 0), 1.5)
    color /= np.percentile(color, 97) + 1e-6
    result.append(((move + np.minimum(color, 1)) / 2).astype(np.float32))
  return result


def _codes(frame: np.ndarray) -> np.ndarray:
  """[H, W, 3] uint8 -> [H, W] uint16, the color bin of each pixel."""
  lab = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 1), cv2.COLOR_RGB2LAB)
  result = np.zeros(frame.shape[:2], np.uint16)
  for channel, (low, high) in zip(
    np.moveaxis(lab, -1, 0), _RANGES, strict=True
  ):
    place = (channel.astype(int) - low) * _BINS // (high - low)
    result = result * _BINS + np.clip(place, 0, _BINS - 1).astype(np.uint16)
  return result


def salient_regions(
  salient: np.ndarray, *, thresholds: tuple[float, ...] = (0.3, 0.5, 0.7)
) -> np.ndarray:
  """Returns the boxes of connected components above each threshold.

  Args:
    salient: [H, W], 0..1, from `saliency`.
    thresholds: saliency thresholds.

  Returns:
    [R, 4], pixels; components that fill less than a quarter of their box are
    omitted.
  """
  found = [np.zeros([0, 4])]
  for threshold in thresholds:
    above = (salient > threshold).astype(np.uint8)
    _, _, areas, _ = cv2.connectedComponentsWithStats(above)
    x, y, width, height, pixels = areas[1:].T.astype(float)
    dense = pixels > 0.25 * width * height
    found.append(np.stack([x, y, x + width, y + height], 1)[dense])
  return np.concatenate(found)


def integral(salient: np.ndarray) -> np.ndarray:
  """[H, W] -> [H+1, W+1], integral image for `contrast`."""
  return cv2.integral(salient.astype(np.float32))


def contrast(
  sums: np.ndarray, boxes: np.ndarray, *, area_power: float
) -> np.ndarray:
  """Compares the saliency of boxes with that of their surroundings.

  Args:
    sums: [H+1, W+1], from `integral`.
    boxes: [..., 4], pixels.
    area_power: preference for large boxes; 0 for none.

  Returns:
    [...], -1..1: mean saliency in the box minus the mean between it and a box
    1.5 times as wide and high, times (fraction of the image's area) **
    area_power.
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
