"""Observes key frames: their regions, and where points carry these.

Regions are proposed and described in a few key frames per second; the frames
between contribute the motion of points. That is cheaper than proposals in
every frame, and the boxes of a region differ less by chance.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import (
  motion,
  point_tracks,
  region_features,
  region_proposals,
  saliency,
)

Propose = Callable[[np.ndarray], np.ndarray]
_AREA_POWER = 0.1  # Preference for large regions, see `saliency.contrast`.
_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # For salient regions.
_MIN_AREA = 0.0015  # Fraction of the image; an object of 9 x 5 of 240 x 135.
_SAME = 0.7  # IoU of regions of which one is kept.
_CARRIED = 0.6  # Maximum IoU of a carried region with those of the key frame.
_MIN_SUPPORT = 0.4  # Of a region that is carried to another key frame.


class Carried(NamedTuple):
  """Where points carry the regions of a key frame, to another key frame.

  Attributes:
    points: trajectories at the frames from the key frame to the other.
    boxes: [N, 4], the regions' boxes in the other key frame, pixels.
    support: [N], 0..1, see `point_tracks.moved`.
  """

  points: point_tracks.PointTracks
  boxes: np.ndarray
  support: np.ndarray


class KeyFrame(NamedTuple):
  """A key frame with N regions.

  Attributes:
    time: number of the frame in its shot.
    boxes: [N, 4], pixels.
    features: [N, F], unit length.
    contrast: [N], -1..1, contrast of saliency.
    size: height and width of the frame, pixels.
    ahead: regions carried to the next key frame; None in the last.
    back: regions carried to the previous key frame; None in the first.
    learned: [N, G], unit length, features of an encoder; None without one.
  """

  time: int
  boxes: np.ndarray
  features: np.ndarray
  contrast: np.ndarray
  size: tuple[int, int]
  ahead: Carried | None
  back: Carried | None
  learned: np.ndarray | None = None


def observe(
  frames: Sequence[np.ndarray],
  between: Sequence[Sequence[np.ndarray]],
  *,
  gap: int,
  describe: region_features.Describe,
  propose: Propose = region_proposals.several_searches,
  describe_learned: region_features.Describe | None = None,
  regions: int = 60,
  carried: int = 20,
) -> list[KeyFrame]:
  """Observes the key frames of one shot.

  Args:
    frames: T images [H, W, 3] uint8.
    between: images [H, W] uint8, gray, after each of the frames and before the
      next, for the motion only; T lists, which may be empty.
    gap: distance of key frames, frames; about, since the first and the last
      frame are key frames.
    describe: function from an image and boxes to features.
    propose: function from an image to boxes [R, 4], pixels.
    describe_learned: function from an image and boxes to features of an
      encoder; None for none.
    regions: maximum number of proposed regions of a key frame: those with the
      highest contrast of saliency.
    carried: maximum number of regions that are carried from the key frames
      before and after to where nothing similar was proposed.

  Returns:
    Key frames in temporal order; none for fewer than 2 frames.
  """
  if len(frames) < 2:
    return []
  steps = max(round((len(frames) - 1) / gap), 1)
  times = np.unique(np.rint(np.linspace(0, len(frames) - 1, steps + 1)))
  times = times.astype(int).tolist()
  size = frames[0].shape[:2]
  salient = _salient(frames, times)
  own = [
    _proposed(frames[t], one, propose, regions)
    for t, one in zip(times, salient, strict=True)
  ]
  points = _points(frames, between, times)
  boxes = [
    np.concatenate([here, _missing(row, own, points, salient, carried)])
    for row, here in enumerate(own)
  ]
  result = []
  for row, t in enumerate(times):
    ahead, back = (
      None if one is None else Carried(one, *_carry(boxes[row], one))
      for one in points[row]
    )
    contrast = saliency.contrast(
      salient[row], boxes[row], area_power=_AREA_POWER
    )
    features, learned = (
      None if make is None else make(frames[t], boxes[row])
      for make in (describe, describe_learned)
    )
    result.append(
      KeyFrame(t, boxes[row], features, contrast, size, ahead, back, learned)
    )
  return result


def _salient(frames, times) -> list[np.ndarray]:
  """Returns the integral image of the saliency of each key frame."""
  moves = []
  for t in times:
    near = [n for n in (t - 1, t + 1) if 0 <= n < len(frames)]
    fields = [motion.flow(frames[t], frames[n]) for n in near]
    moves.append(np.mean([motion.own_motion(field) for field in fields], 0))
  found = saliency.saliency([frames[t] for t in times], moves, reach=1)
  return [saliency.integral(one) for one in found]


def _proposed(image, salient, propose, limit) -> np.ndarray:
  """Returns the proposed regions of a key frame, [N, 4]."""
  pixels = np.diff(np.diff(salient, axis=0), axis=1)
  found = np.concatenate(
    [
      propose(image),
      saliency.salient_regions(pixels, thresholds=_THRESHOLDS),
    ]
  )
  found = region_proposals.plausible(
    found, image.shape[:2], min_area=_MIN_AREA, overlap=0.85
  )
  contrast = saliency.contrast(salient, found, area_power=_AREA_POWER)
  return found[boxes_lib.suppress(found, contrast, overlap=_SAME, limit=limit)]


def _points(frames, between, times):
  """Returns each key frame's point tracks to the next and to the previous."""
  gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
  result = [[None, None] for _ in times]
  for row, (first, last) in enumerate(zip(times, times[1:], strict=False)):
    images, marks = [], []
    for t in range(first, last):
      marks.append(len(images))
      images += [gray[t], *between[t]]
    marks.append(len(images))
    images.append(gray[last])
    end = len(images) - 1
    result[row][0] = point_tracks.follow(images, marks)
    result[row + 1][1] = point_tracks.follow(
      images[::-1], [end - mark for mark in marks[::-1]]
    )
  return result


def _carry(boxes, points):
  """Returns the boxes at the end of the trajectories, and their support."""
  return point_tracks.moved(
    boxes, points.places[0], points.places[-1], points.followed[-1]
  )


def _missing(row, own, points, salient, limit) -> np.ndarray:
  """Returns regions [M, 4] of the key frames around that are not proposed."""
  found = []
  for other, side in ((row - 1, 0), (row + 1, 1)):
    if 0 <= other < len(own):
      boxes, support = _carry(own[other], points[other][side])
      found.append(boxes[support >= _MIN_SUPPORT])
  size = tuple(n - 1 for n in salient[row].shape)
  boxes = region_proposals.plausible(
    np.concatenate([np.zeros([0, 4]), *found]), size, min_area=_MIN_AREA
  )
  is_new = boxes_lib.iou(boxes, own[row]).max(1, initial=0) < _CARRIED
  boxes = boxes[is_new]
  contrast = saliency.contrast(salient[row], boxes, area_power=_AREA_POWER)
  return boxes[boxes_lib.suppress(boxes, contrast, overlap=_SAME, limit=limit)]
