"""Where an object of its own is: what moves, and what has its colors.

Motion alone loses what rests for a moment, or moves with the camera, and its
border is blurred. The colors of what moves, as against those of the rest, fill
that in (as in Papazoglou & Ferrari 2013, section 3.2, without their graph cut).
"""

from collections.abc import Sequence

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib

_BINS = 16  # Of each channel of CIE L*a*b*.
_RANGES = ((0, 256), (88, 168), (88, 168))  # Where pictures' L, a and b lie.
_DOUBT = 20  # Pixels of average motion that each color is thought to have.


def saliency(
  frames: Sequence[np.ndarray], moves: Sequence[np.ndarray], *, reach: int = 4
) -> list[np.ndarray]:
  """The mean of how a pixel moves and how much things of its color move.

  Args:
    frames: T times [H, W, 3] uint8 of one shot.
    moves: T times [H, W] 0..1, of `motion.own_motion`.
    reach: colors are learned from so many frames before and after, too.

  Returns:
    T times [H, W] float32, 0..1.
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
    share = (total + _DOUBT * average) / (pixels + _DOUBT)
    color = cv2.GaussianBlur(share[code].astype(np.float32), (0, 0), 1.5)
    color /= np.percentile(color, 97) + 1e-6
    result.append(((move + np.minimum(color, 1)) / 2).astype(np.float32))
  return result


def _codes(frame: np.ndarray) -> np.ndarray:
  """[H, W, 3] uint8 -> [H, W] uint16, the number of each pixel's color."""
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
  """Boxes of the connected areas above a threshold.

  Args:
    salient: [H, W] 0..1, of `saliency`.
    thresholds: one set of boxes each.

  Returns:
    [R, 4] pixels; none of an area that fills less than a quarter of its box.
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
  """[H, W] -> [H+1, W+1] running sums, as `contrast` wants them."""
  return cv2.integral(salient.astype(np.float32))


def contrast(
  sums: np.ndarray, boxes: np.ndarray, *, area_power: float
) -> np.ndarray:
  """How much more salient a box is than a frame around it.

  Args:
    sums: [H+1, W+1], of `integral`.
    boxes: [..., 4] pixels.
    area_power: the larger, the more large boxes are preferred; 0 is none.

  Returns:
    [...], -1..1: mean saliency in the box less the mean between it and the box
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
