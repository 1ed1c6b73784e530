"""What the tracker knows of each frame of a shot before it follows anything."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.video.tracking import (
  motion,
  region_features,
  region_proposals,
  saliency,
)

Propose = Callable[[np.ndarray], np.ndarray]


class Observation(NamedTuple):
  """One frame.

  Attributes:
    image: [H, W, 3] uint8.
    boxes: [R, 4] proposals, pixels.
    features: [R, F] of the proposals, unit length.
    salient: [H+1, W+1] running sums of `saliency.saliency`.
    forward: [H, W, 2] float16 flow to the next frame, None on the last.
    backward: [H, W, 2] float16 flow to the frame before, None on the first.
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
  """Proposals, features and motion of the frames of one shot.

  About 0.7 MB a frame of 240 x 135 pixels stay in memory.

  Args:
    frames: T times [H, W, 3] uint8.
    propose: image -> [R, 4] boxes, of any size and number.
    describe: see region_features.

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
    # In this order, because flow is blurred at an object's border.
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
