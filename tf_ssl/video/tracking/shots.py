"""Splits a video into shots and describes the frames of each shot.

No track crosses a shot boundary.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tf_ssl.video.tracking import (
  motion,
  region_features,
  region_proposals,
  saliency,
)

Propose = Callable[[np.ndarray], np.ndarray]
_BINS = 8


def find(
  frames: Sequence[np.ndarray], *, change: float = 0.6
) -> list[tuple[int, int]]:
  """Finds cuts by the change of color from frame to frame.

  Args:
    frames: T images [H, W, 3] uint8.
    change: minimum distance between the color histograms of the frames around
      a cut: total variation, 0..1.

  Returns:
    (first frame, last frame + 1) of each shot, in order.
  """
  if not len(frames):
    return []
  colors = [_colors(frame) for frame in frames]
  cuts = [
    t
    for t in range(1, len(frames))
    if 1 - np.minimum(colors[t - 1], colors[t]).sum() > change
  ]
  return list(zip([0, *cuts], [*cuts, len(frames)], strict=True))


def _colors(frame: np.ndarray) -> np.ndarray:
  """[H, W, 3] uint8 -> [512], a coarse color histogram that sums to 1."""
  small = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA)
  counts = cv2.calcHist(
    [small], [0, 1, 2], None, [_BINS] * 3, [0, 256, 0, 256, 0, 256]
  )
  return counts.ravel() / counts.sum()


class Observation(NamedTuple):
  """What the tracker measures in a frame before it follows anything.

  Attributes:
    image: [H, W, 3] uint8.
    boxes: [R, 4] proposals, pixels.
    features: [R, F] features of the proposals, unit length.
    salient: [H+1, W+1] integral image of `saliency.saliency`.
    forward: [H, W, 2] float16 flow to the next frame; None for the last frame.
    backward: [H, W, 2] float16 flow to the previous frame; None for the first
      frame.
  """

  image: np.ndarray
  boxes: np.ndarray
  features: np.ndarray
  salient: np.ndarray
  forward: np.ndarray | None
  backward: np.ndarray | None


def observe(
  frames: Sequence[np.ndarray],
  *,
  propose: Propose = region_proposals.selective_search,
  describe: region_features.Describe,
) -> list[Observation]:
  """Computes proposals, features and motion of the frames of one shot.

  The result takes about 0.7 MB per frame of 240 x 135 pixels.

  Args:
    frames: T images [H, W, 3] uint8.
    propose: function from an image to boxes [R, 4], pixels.
    describe: function from an image and boxes to features, see
      `region_features.Describe`.

  Returns:
    T observations. Their proposals are those of `propose` and the salient
    regions, filtered by `region_proposals.plausible`.
  """
  pairs = list(zip(frames, frames[1:], strict=False))
  forward = [motion.flow(a, b) for a, b in pairs] + [None]
  backward = [None] + [motion.flow(b, a) for a, b in pairs]
  moves = []
  for image, *fields in zip(frames, forward, backward, strict=True):
    known = [motion.own_motion(field) for field in fields if field is not None]
    moves.append(np.mean(known or [np.zeros(image.shape[:2])], 0))
  result = []
  for image, salient, *fields in zip(
    frames, saliency.saliency(frames, moves), forward, backward, strict=True
  ):
    # Of two similar boxes the first is kept: proposals follow an object's
    # border better than salient regions, whose flow is blurred there.
    boxes = np.concatenate([propose(image), saliency.salient_regions(salient)])
    boxes = region_proposals.plausible(boxes, image.shape[:2])
    result.append(
      Observation(
        image,
        boxes,
        describe(image, boxes),
        saliency.integral(salient),
        *(None if f is None else f.astype(np.float16) for f in fields),
      )
    )
  return result
