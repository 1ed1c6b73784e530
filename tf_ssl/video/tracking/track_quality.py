"""How often the two ends of a track's pair show the same true object.

A track is worth what its pairs are: two crops, some seconds apart, that a
method will take for the same thing. The true boxes of one object a frame are
needed, and are used for nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import tracker


class PairQuality(NamedTuple):
  """Counts of one video; those of several may be added or averaged.

  Attributes:
    pairs: boxes on the object at t whose track has a box at t + k, too.
    correct: those whose box at t + k is on the object.
    frames: frames t with the object at t and at t + k.
    found: those with at least one correct pair.
  """

  pairs: int
  correct: int
  frames: int
  found: int

  @property
  def precision(self) -> float:
    """Correct pairs of all, 0..1; NaN without a pair."""
    return self.correct / self.pairs if self.pairs else float("nan")

  @property
  def recall(self) -> float:
    """Frames with a correct pair of all, 0..1; NaN without a frame."""
    return self.found / self.frames if self.frames else float("nan")


def pair_quality(
  tracks: Sequence[tracker.Track],
  truth: Mapping[int, Sequence[float]],
  *,
  lag: int,
  num_frames: int | None = None,
  overlap: float = 0.5,
) -> PairQuality:
  """Compares tracks with the true boxes of one object.

  Pairs and frames count where the object exists at t and at t + lag.

  Args:
    tracks: of one video.
    truth: sampled frame -> xmin, ymin, xmax, ymax in pixels of the tracks; no
      entry where the object is not there.
    lag: sampled frames from one end of a pair to the other.
    num_frames: frames of the video; None if `truth` names no others.
    overlap: least IoU of a box that is on the object.

  Raises:
    errors.UsageError: if lag is less than 1.
  """
  if lag < 1:
    raise errors.UsageError(f"lag={lag}: expected at least 1 frame")
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
