"""Precision and recall of the pairs that tracks provide, from ground truth.

A pair is two crops of a track some seconds apart, which training assumes to
show one object. The ground truth is one box per frame; it is used for nothing
else.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import tracker


class PairQuality(NamedTuple):
  """Counts for one video; those of several may be added or averaged.

  Attributes:
    pairs: number of boxes on the object at t whose track has a box at t + k.
    correct: number of these whose box at t + k is on the object.
    frames: number of frames t with the object at t and at t + k.
    found: number of these with at least one correct pair.
  """

  pairs: int
  correct: int
  frames: int
  found: int

  @property
  def precision(self) -> float:
    """Fraction of pairs that are correct, 0..1; NaN without a pair."""
    return self.correct / self.pairs if self.pairs else float("nan")

  @property
  def recall(self) -> float:
    """Fraction of frames with a correct pair, 0..1; NaN without a frame."""
    return self.found / self.frames if self.frames else float("nan")


def pair_quality(
  tracks: Sequence[tracker.Track],
  truth: Mapping[int, Sequence[float]],
  *,
  lag: int,
  num_frames: int | None = None,
  overlap: float = 0.5,
) -> PairQuality:
  """Compares tracks with the ground-truth boxes of one object.

  Pairs and frames count if the object is visible at t and at t + lag.

  Args:
    tracks: tracks of one video.
    truth: ground-truth box (xmin, ymin, xmax, ymax), pixels of the tracks, by
      sampled frame; without frames in which the object is absent.
    lag: distance of the two boxes of a pair, sampled frames.
    num_frames: number of sampled frames; None for the last in `truth` + 1.
    overlap: minimum IoU with the ground truth of a box on the object.

  Raises:
    UsageError: `lag` is less than 1.
  """
  errors.require(lag >= 1, f"lag={lag}: expected at least 1 frame")
  last = max(truth, default=-1) + 1 if num_frames is None else num_frames
  last = max([last, *(t.start + len(t.boxes) for t in tracks)])
  there = np.zeros(last, bool)
  object_boxes = np.zeros([last, 4])
  for frame, box in truth.items():
    if frame < last:
      there[frame], object_boxes[frame] = True, box
  counted = there[: max(last - lag, 0)] & there[lag:]
  found = np.zeros(len(counted), bool)
  pairs = correct = 0
  for track in tracks:
    frames = np.arange(track.start, track.start + len(track.boxes))
    iou = boxes_lib.aligned_iou(track.boxes, object_boxes[frames])
    on_object = (iou >= overlap) & there[frames]
    if len(frames) <= lag:
      continue
    starts = frames[:-lag]
    begins = on_object[:-lag] & counted[starts]
    holds = begins & on_object[lag:]
    pairs += int(begins.sum())
    correct += int(holds.sum())
    found[starts[holds]] = True
  return PairQuality(pairs, correct, int(counted.sum()), int(found.sum()))
