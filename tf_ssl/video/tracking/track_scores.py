"""Which tracks to keep, and where: what other tracks agree on."""

from collections.abc import Iterator, Sequence

import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import tracker


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
  result = np.zeros(len(tracks))
  for row, (track, beside) in enumerate(
    zip(tracks, _beside(tracks), strict=True)
  ):
    there = ~np.isnan(beside[..., 0])
    iou = boxes_lib.aligned_iou(np.nan_to_num(beside), track.boxes)
    agree = there & (iou >= overlap)
    result[row] = agree.sum() / max(there.sum(), 1)
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
  result = []
  for track, beside in zip(tracks, _beside(tracks), strict=True):
    iou = boxes_lib.aligned_iou(np.nan_to_num(beside), track.boxes)
    others = np.where((iou >= overlap)[..., None], beside, np.nan)
    together = np.concatenate([track.boxes[None], others])
    median = np.nanmedian(together, 0).astype(np.float32)
    result.append(track._replace(boxes=median))
  return result


def _beside(tracks: Sequence[tracker.Track]) -> Iterator[np.ndarray]:
  """The other tracks during each: [K, T, 4], NaN where they have no box."""
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


def distinct(
  tracks: Sequence[tracker.Track],
  *,
  overlap: float = 0.7,
  new: float = 0.1,
) -> list[int]:
  """Which tracks show something that those before them do not.

  Seeds half a second apart give the same track of a region again and again.

  Args:
    tracks: of one video, best first.
    overlap: boxes of one frame with at least this IoU are the same region.
    new: least share of a track's frames in which no track that was kept before
      it has the same region; 0 keeps all.

  Returns:
    Rows of `tracks`, ascending.
  """
  kept = []
  for row, track in enumerate(tracks):
    known = np.zeros(len(track.boxes), bool)
    for other in kept:
      first = max(track.start, tracks[other].start)
      last = min(_stop(track), _stop(tracks[other]))
      if first < last:
        mine = slice(first - track.start, last - track.start)
        its = slice(first - tracks[other].start, last - tracks[other].start)
        iou = boxes_lib.aligned_iou(track.boxes[mine], tracks[other].boxes[its])
        known[mine] |= iou >= overlap
    if np.mean(~known) >= new:
      kept.append(row)
  return kept


def _stop(track: tracker.Track) -> int:
  return track.start + len(track.boxes)


def best(
  tracks: Sequence[tracker.Track],
  *,
  limit: int | None = None,
  min_frames: int = 2,
  min_agreement: float = 0.3,
  new: float = 0.1,
) -> list[tracker.Track]:
  """The best tracks of a video, fused, with their scores, best first.

  Tracks that stand nearly alone go first, then the others are fused, and then
  the agreement of what came out decides. Of tracks of the same region one is
  kept.

  Args:
    tracks: of one video.
    limit: how many at most; None for all.
    min_frames: shorter tracks are dropped.
    min_agreement: least agreement, 0..1, of a fused track; 0 keeps all. Before
      they are fused a third of it is asked.
    new: see `distinct`.
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
  return [ordered[row] for row in distinct(ordered, new=new)[:limit]]
