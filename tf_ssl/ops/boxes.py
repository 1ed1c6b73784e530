"""Boxes as arrays [..., 4]: xmin, ymin, xmax, ymax in float pixels.

The origin is the top left corner, the maximum is exclusive, and a box may
extend beyond its image.
"""

import numpy as np

_AT_ONCE = 32  # Boxes compared with all others by one operation.


def area(boxes: np.ndarray) -> np.ndarray:
  """Areas of boxes: [..., 4] -> [...], px²; 0 if a side is negative."""
  width, height = (boxes[..., k + 2] - boxes[..., k] for k in (0, 1))
  return np.maximum(width, 0) * np.maximum(height, 0)


def aligned_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Intersection over union (IoU) of pairs of boxes.

  Args:
    first: [..., 4].
    second: [..., 4], a shape that broadcasts against that of `first`.

  Returns:
    [...], 0..1; 0 if both boxes are empty.
  """
  common = _common(np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0))
  return common / np.maximum(area(first) + area(second) - common, 1e-9)


def _common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Areas of intersections: [4, ...] and [4, ...] -> [...]."""
  # Axis by axis: several times faster than arrays [2, ...].
  common = 1.0
  for low, high in ((0, 2), (1, 3)):
    side = np.minimum(first[high], second[high])
    side = side - np.maximum(first[low], second[low])
    common = common * np.maximum(side, 0)
  return common


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """IoU of all pairs of boxes: [A, 4] and [R, 4] -> [A, R]."""
  return aligned_iou(first[:, None], second[None])


def clip(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Parts of boxes inside an image of size (height, width), in pixels."""
  height, width = size
  return np.clip(boxes, 0, [width, height, width, height])


def grow(boxes: np.ndarray, factor: float) -> np.ndarray:
  """Scales boxes [..., 4] around their centers by a factor."""
  center = (boxes[..., :2] + boxes[..., 2:]) / 2
  half = (boxes[..., 2:] - boxes[..., :2]) / 2 * factor
  return np.concatenate([center - half, center + half], -1)


def neighbors(
  boxes: np.ndarray,
  *,
  shifts: tuple[float, ...],
  side_shift: float = 0.0,
) -> np.ndarray:
  """Shifted and resized copies of each box.

  Args:
    boxes: [A, 4].
    shifts: shifts along both axes, as fractions of the width and height of the
      box; all pairs of a horizontal and a vertical one are made.
    side_shift: distance by which a single side moves outward or inward, as a
      fraction of the width or height; 0 for no such copies.

  Returns:
    [A, J, 4] with J = len(shifts)², and 8 more with a `side_shift`.
  """
  dx, dy = np.meshgrid(shifts, shifts)
  offsets = np.stack([dx, dy, dx, dy], -1).reshape(-1, 4)  # [J', 4]
  size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)[:, None]
  moved = boxes[:, None] + offsets * size
  if not side_shift:
    return moved
  sides = np.concatenate([np.eye(4), -np.eye(4)]) * side_shift
  return np.concatenate([moved, boxes[:, None] + sides * size], 1)


def suppress(
  boxes: np.ndarray, rank: np.ndarray, *, overlap: float, limit: int
) -> list[int]:
  """Greedy non-maximum suppression.

  Args:
    boxes: [R, 4].
    rank: [R], score of each box; a box competes with those of higher score.
    overlap: smallest IoU with a kept box at which a box is dropped.
    limit: largest number of boxes to keep.

  Returns:
    Rows of the kept boxes, highest score first.
  """
  order = np.argsort(-rank, kind="stable")
  boxes = boxes[order]
  corners = np.ascontiguousarray(boxes.T)  # [4, R]: fast slices.
  areas = area(boxes)
  is_left = np.ones(len(order), bool)
  kept = []
  for first in range(0, len(order), _AT_ONCE):
    rows = first + np.flatnonzero(is_left[first : first + _AT_ONCE])
    common = _common(corners[:, rows, None], corners[:, None, first:])
    union = areas[rows, None] + areas[first:] - common
    is_apart = common / np.maximum(union, 1e-9) < overlap
    for row, others in zip(rows, is_apart, strict=True):
      if is_left[row]:
        if len(kept) == limit:
          return kept
        kept.append(int(order[row]))
        is_left[first:] &= others
  return kept
