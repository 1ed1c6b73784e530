"""Boxes as arrays: float pixels xmin, ymin, xmax, ymax, the maximum exclusive.

Origin top left; a box may reach over the border of its image.
"""

import numpy as np


def area(boxes: np.ndarray) -> np.ndarray:
  """[..., 4] -> [...], pixels squared; 0 for a box turned inside out."""
  return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)


def aligned_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Intersection over union of boxes that broadcast against each other.

  Args:
    first: [..., 4].
    second: [..., 4].

  Returns:
    [...], 0..1; 0 where both boxes are empty.
  """
  low = np.maximum(first[..., :2], second[..., :2])
  high = np.minimum(first[..., 2:], second[..., 2:])
  common = np.prod(np.maximum(high - low, 0), axis=-1)
  return common / np.maximum(area(first) + area(second) - common, 1e-9)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """[A, 4] and [R, 4] -> [A, R], the IoU of each with each."""
  return aligned_iou(first[:, None], second[None])


def clip(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """The part of each box that lies in an image of (height, width) `size`."""
  height, width = size
  return np.clip(boxes, 0, [width, height, width, height])


def grow(boxes: np.ndarray, factor: float) -> np.ndarray:
  """Scales boxes [..., 4] about their centers."""
  center = (boxes[..., :2] + boxes[..., 2:]) / 2
  half = (boxes[..., 2:] - boxes[..., :2]) / 2 * factor
  return np.concatenate([center - half, center + half], -1)


def neighbors(
  boxes: np.ndarray,
  *,
  shifts: tuple[float, ...],
  stretch: float = 0.0,
) -> np.ndarray:
  """Shifted and stretched copies of each box.

  Args:
    boxes: [A, 4].
    shifts: in widths (and heights) of the box; all pairs of them are made.
    stretch: each of the four sides of the box where it is goes out and in by
      this share of the width (or height); 0 for none of these.

  Returns:
    [A, J, 4] with J = len(shifts)², and 8 more if stretched.
  """
  dx, dy = np.meshgrid(shifts, shifts)
  offsets = np.stack([dx, dy, dx, dy], -1).reshape(-1, 4)  # [J', 4]
  size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)[:, None]
  moved = boxes[:, None] + offsets * size
  if not stretch:
    return moved
  sides = np.concatenate([np.eye(4), -np.eye(4)]) * stretch
  return np.concatenate([moved, boxes[:, None] + sides * size], 1)


def suppress(
  boxes: np.ndarray, rank: np.ndarray, *, overlap: float, limit: int
) -> list[int]:
  """Greedy non-maximum suppression.

  Args:
    boxes: [R, 4].
    rank: [R], highest first.
    overlap: a box whose IoU with a kept one is at least this is dropped.
    limit: how many to keep at most.

  Returns:
    Rows of the kept boxes, best first.
  """
  kept = []
  apart = iou(boxes, boxes) < overlap
  free = np.ones(len(boxes), bool)
  for row in np.argsort(-rank, kind="stable"):
    if len(kept) == limit:
      break
    if free[row]:
      kept.append(int(row))
      free &= apart[row]
  return kept
