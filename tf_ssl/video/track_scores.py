"""Which tracks to keep: those on which other tracks agree."""

from collections.abc import Sequence

import numpy as np

from tf_ssl.video import boxes as boxes_lib
from tf_ssl.video import tracker


def agreement(
  tracks: Sequence[tracker.Track], *, overlap: float = 0.5
) -> np.ndarray:
  """How far the tracks that begin elsewhere come to the same boxes.

  Tracks have seeds at other times and other places. Two that are on the same
  object before and after have found the same way forth and back; one that has
  drifted is alone. So this is a test of forward-backward consistency which
  costs no second pass.

  Args:
    tracks: A of them, of one video.
    overlap: boxes of one frame with at least this IoU agree.

  Returns:
    [A], 0..1: of all other tracks' frames in common with the track, the share
    in which their boxes agree; 0 for a track that has no other beside it.
  """
  end = max((t.start + len(t.boxes) for t in tracks), default=0)
  boxes = np.full([len(tracks), end, 4], np.nan)
  for row, track in enumerate(tracks):
    boxes[row, track.start : track.start + len(track.boxes)] = track.boxes
  result = np.zeros(len(tracks))
  for row, track in enumerate(tracks):
    there = slice(track.start, track.start + len(track.boxes))
    others = np.delete(boxes[:, there], row, 0)
    common = ~np.isnan(others[..., 0])
    iou = boxes_lib.aligned_iou(np.nan_to_num(others), track.boxes)
    result[row] = (common & (iou >= overlap)).sum() / max(common.sum(), 1)
  return result


def scores(tracks: Sequence[tracker.Track]) -> np.ndarray:
  """[A], the higher the better: agreement, similarity and motion.

  agreement · mean similarity · (1 + mean contrast), so that neither decides
  alone and a track of a still object can be kept.
  """
  similarity = np.array([t.similarity.mean() for t in tracks])
  contrast = np.array([t.contrast.mean() for t in tracks])
  return agreement(tracks) * similarity * (1 + contrast)


def best(
  tracks: Sequence[tracker.Track],
  *,
  limit: int | None = None,
  min_frames: int = 2,
  min_agreement: float = 0.15,
) -> list[tracker.Track]:
  """The best tracks of a video, best first.

  Args:
    tracks: of one video.
    limit: how many at most; None for all.
    min_frames: shorter tracks are dropped.
    min_agreement: tracks on which fewer agree are dropped, 0..1.
  """
  score = scores(tracks)
  agreed = agreement(tracks)
  order = [
    row
    for row in np.argsort(-score, kind="stable")
    if len(tracks[row].boxes) >= min_frames and agreed[row] >= min_agreement
  ]
  return [tracks[row] for row in order[:limit]]
