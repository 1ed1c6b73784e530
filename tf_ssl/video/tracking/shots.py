"""Where a video is cut: no track goes on over it."""

from collections.abc import Sequence

import cv2
import numpy as np

_BINS = 8


def colors(frame: np.ndarray) -> np.ndarray:
  """[H, W, 3] uint8 -> [512], the shares of coarse colors."""
  small = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA)
  counts = cv2.calcHist(
    [small], [0, 1, 2], None, [_BINS] * 3, [0, 256, 0, 256, 0, 256]
  )
  return counts.ravel() / counts.sum()


def shots(
  frames: Sequence[np.ndarray], *, change: float = 0.6
) -> list[tuple[int, int]]:
  """Cuts a video where its colors change from one frame to the next.

  Args:
    frames: T times [H, W, 3] uint8.
    change: share of the picture, 0..1, whose coarse colors must be others.

  Returns:
    (first frame, one past the last) of each shot, in order.
  """
  if not len(frames):
    return []
  shares = [colors(frame) for frame in frames]
  cuts = [
    t
    for t in range(1, len(frames))
    if 1 - np.minimum(shares[t - 1], shares[t]).sum() > change
  ]
  return list(zip([0, *cuts], [*cuts, len(frames)], strict=True))
