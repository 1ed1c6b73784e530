"""Selects and refines tracks by their agreement with other tracks."""

from collections.abc import Iterator, Sequence

import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import tracker


def agreement(
  tracks: Sequence[tracker.Track], *, overlap: float = 0.5
) -> np.ndarray:
  """Measures how often tracks with other seeds have the same boxes.

  Tracks start at different times and places. Two tracks on one object agree
  before and after each seed, while a track that has drifted is alone. This
  tests forward-backward consistency without a second pass.

  Args:
    tracks: A tracks of one video.
    overlap: minimum IoU of boxes that agree.

  Returns:
    [A], 0..1: fraction of the boxes of other tracks, in the track's frames,
    that agree with it; 0 for a track without concurrent tracks.
  """
  result = np.zeros(len(tracks))
  for row, (track, others) in enumerate(
    zip(tracks, _concurrent(tracks), strict=True)
  ):
    there = ~np.isnan(others[..., 0])
    iou = boxes_lib.aligned_iou(np.nan_to_num(others), track.boxes)
    agree = there & (iou >= overlap)
    result[row] = agree.sum() / max(there.sum(), 1)
  return result


def fused(
  tracks: Sequence[tracker.Track], *, overlap: float = 0.6
) -> list[tracker.Track]:
  """Replaces each box by the median of the similar boxes of all tracks.

  Args:
    tracks: tracks of one video.
    overlap: minimum IoU of the boxes that enter the median.

  Returns:
    The refined tracks, in the order of `tracks`.
  """
  result = []
  for track, others in zip(tracks, _concurrent(tracks), strict=True):
    iou = boxes_lib.aligned_iou(np.nan_to_num(others), track.boxes)
    similar = np.where((iou >= overlap)[..., None], others, np.nan)
    together = np.concatenate([track.boxes[None], similar])
    median = np.nanmedian(together, 0).astype(np.float32)
    result.append(track._replace(boxes=median))
  return result


def _concurrent(tracks: Sequence[tracker.Track]) -> Iterator[np.ndarray]:
  """Yields other tracks' boxes [K, T, 4] during each track, NaN where none."""
  starts = np.array([track.start for track in tracks], int)
  stops = starts + [len(track.boxes) for track in tracks]
  for row, track in enumerate(tracks):
    meets = (starts < stops[row]) & (stops > starts[row])
    meets[row] = False
    others = np.flatnonzero(meets)
    boxes = np.full([len(others), *track.boxes.shape], np.nan)
    for place, other in enumerate(others):
      first = max(starts[row], starts[other])
      last = min(stops[row], stops[other])
      boxes[place, first - starts[row] : last - starts[row]] = tracks[
        other
      ].boxes[first - starts[other] : last - starts[other]]
    yield boxes


def scores(tracks: Sequence[tracker.Track], agreed: np.ndarray) -> np.ndarray:
  """Scores tracks by agreement, similarity, motion and length.

  agreement · mean similarity · (1 + mean contrast) · sqrt(frames): no factor
  decides alone, and a track of a still object can be kept.

  Args:
    tracks: A tracks.
    agreed: [A], from `agreement`.

  Returns:
    [A], higher is better.
  """
  similarity = np.array([track.similarity.mean() for track in tracks])
  contrast = np.array([track.contrast.mean() for track in tracks])
  frames = np.array([len(track.boxes) for track in tracks])
  return agreed * similarity * (1 + contrast) * np.sqrt(frames)


def distinct(
  tracks: Sequence[tracker.Track],
  *,
  overlap: float = 0.7,
  new: float = 0.1,
  limit: int | None = None,
) -> list[int]:
  """Selects tracks that show something new.

  Seeds half a second apart give many similar tracks of one region.

  Args:
    tracks: tracks of one video, best first.
    overlap: minimum IoU of boxes that show one region.
    new: minimum fraction of a track's frames in which no better track that was
      kept shows the region; 0 keeps all tracks.
    limit: maximum number of kept tracks; None for all.

  Returns:
    Rows of the kept tracks, ascending.
  """
  first = min((track.start for track in tracks), default=0)
  stop = max((track.start + len(track.boxes) for track in tracks), default=0)
  boxes = np.zeros([len(tracks), stop - first, 4], np.float32)
  there = np.zeros(boxes.shape[:2], bool)
  for row, track in enumerate(tracks):
    frames = slice(track.start - first, track.start - first + len(track.boxes))
    boxes[row, frames], there[row, frames] = track.boxes, True
  is_new, kept = there.copy(), []
  for row, mine in enumerate(there):
    if len(kept) == limit:
      break
    if is_new[row].sum() >= new * mine.sum():
      kept.append(row)
      iou = boxes_lib.aligned_iou(boxes[row + 1 :, mine], boxes[row, mine])
      is_new[row + 1 :, mine] &= iou < overlap
  return kept


def best(
  tracks: Sequence[tracker.Track],
  *,
  limit: int | None = None,
  min_frames: int = 2,
  min_agreement: float = 0.3,
  new: float = 0.1,
) -> list[tracker.Track]:
  """Returns the best tracks of a video, refined, scored, best first.

  Tracks with little agreement are dropped, the others are fused, and the
  agreement of the fused tracks decides. One track per region is kept.

  Args:
    tracks: tracks of one video.
    limit: maximum number of tracks; None for all.
    min_frames: minimum length of a track, frames.
    min_agreement: minimum agreement of a fused track, 0..1; 0 keeps all. Before
      fusion, the minimum is a third of it.
    new: minimum fraction of new frames, see `distinct`.
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
  ordered = [
    tracks[row]._replace(score=float(score[row]))
    for row in order
    if agreed[row] >= min_agreement
  ]
  return [ordered[row] for row in distinct(ordered, new=new, limit=limit)]
