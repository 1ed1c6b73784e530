"""Which tracks to keep, and where: what other tracks agree on."""

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
  boxes = _by_frame(tracks)
  result = np.zeros(len(tracks))
  for row, track in enumerate(tracks):
    others = np.delete(boxes[:, _frames(track)], row, 0)
    common = ~np.isnan(others[..., 0])
    iou = boxes_lib.aligned_iou(np.nan_to_num(others), track.boxes)
    result[row] = (common & (iou >= overlap)).sum() / max(common.sum(), 1)
  return result


def fused(
  tracks: Sequence[tracker.Track], *, overlap: float = 0.6
) -> list[tracker.Track]:
  """Puts each box where the tracks beside it have theirs, by the median.

  Args:
    tracks: of one video.
    overlap: boxes of one frame with at least this IoU take part.

  Returns:
    The tracks with other boxes, in their order.
  """
  boxes = _by_frame(tracks)
  result = []
  for track in tracks:
    here = boxes[:, _frames(track)]  # [A, T, 4]
    iou = boxes_lib.aligned_iou(np.nan_to_num(here), track.boxes)
    beside = np.where((iou >= overlap)[..., None], here, np.nan)
    # The track's own box is always one of them.
    median = np.nanmedian(beside, 0).astype(np.float32)
    result.append(track._replace(boxes=median))
  return result


def _frames(track: tracker.Track) -> slice:
  return slice(track.start, track.start + len(track.boxes))


def _by_frame(tracks: Sequence[tracker.Track]) -> np.ndarray:
  """[A, frames, 4], NaN where a track has no box."""
  end = max((_frames(track).stop for track in tracks), default=0)
  boxes = np.full([len(tracks), end, 4], np.nan)
  for row, track in enumerate(tracks):
    boxes[row, _frames(track)] = track.boxes
  return boxes


def scores(tracks: Sequence[tracker.Track], agreed: np.ndarray) -> np.ndarray:
  """[A], the higher the better: agreement, similarity, motion, length.

  agreement · mean similarity · (1 + mean contrast) · sqrt(frames): none decides
  alone, and a track of a still object can be kept.

  Args:
    tracks: A of them.
    agreed: [A], of `agreement`.
  """
  similarity = np.array([track.similarity.mean() for track in tracks])
  contrast = np.array([track.contrast.mean() for track in tracks])
  frames = np.array([len(track.boxes) for track in tracks])
  return agreed * similarity * (1 + contrast) * np.sqrt(frames)


def best(
  tracks: Sequence[tracker.Track],
  *,
  limit: int | None = None,
  min_frames: int = 2,
  min_agreement: float = 0.3,
) -> list[tracker.Track]:
  """The best tracks of a video, fused, best first.

  Tracks that stand nearly alone go first, then the others are fused, and then
  the agreement of what came out decides.

  Args:
    tracks: of one video.
    limit: how many at most; None for all.
    min_frames: shorter tracks are dropped.
    min_agreement: least agreement, 0..1, of a fused track; 0 keeps all. Before
      they are fused a third of it is asked.
  """
  tracks = [track for track in tracks if len(track.boxes) >= min_frames]
  first = agreement(tracks)
  tracks = fused(
    [
      track
      for track, agreed in zip(tracks, first, strict=True)
      if agreed >= min_agreement / 3
    ]
  )
  agreed = agreement(tracks)
  score = scores(tracks, agreed)
  order = np.argsort(-score, kind="stable")
  kept = [row for row in order if agreed[row] >= min_agreement]
  return [tracks[row] for row in kept[:limit]]
