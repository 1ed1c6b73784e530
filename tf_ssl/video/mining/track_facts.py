"""What is known of each track of a clip: its length, motion, score and end."""

from typing import NamedTuple

import numpy as np

from tf_ssl.video.mining import track_records

_SECONDS = 1.0  # Time in which motion is measured.


class TrackFacts(NamedTuple):
  """What is known of one track.

  Attributes:
    track: id of the track.
    score: score of the track, higher is better.
    seconds: time from its first to its last frame.
    motion: mean motion of the center in one second, in sides of the box (the
      square root of its area).
    end: why it ends; empty if that is not known.
  """

  track: int
  score: float
  seconds: float
  motion: float
  end: str


def of_clip(clip: track_records.TrackedClip) -> list[TrackFacts]:
  """Returns the facts of all tracks of a clip, in the order of its scores."""
  ends = clip.ends or [""] * len(clip.scores)
  times = {track: [] for track in clip.scores}
  boxes = {track: [] for track in clip.scores}
  for frame in clip.frames:
    for track, box in zip(frame.tracks.tolist(), frame.boxes, strict=True):
      times[track].append(frame.time)
      boxes[track].append(box)
  return [
    TrackFacts(
      track,
      round(float(score), 4),
      round(max(times[track]) - min(times[track]), 4),
      round(_motion(times[track], boxes[track], clip.video_size), 4),
      end,
    )
    for (track, score), end in zip(clip.scores.items(), ends, strict=True)
    if times[track]
  ]


def _motion(times, boxes, size) -> float:
  """Returns the mean motion of the center in a second, in sides of the box."""
  moments, height, width = np.array(times), *size
  corners = np.array(boxes, float) * [height, width, height, width]
  center = (corners[:, :2] + corners[:, 2:]) / 2
  sides = np.sqrt(np.maximum((corners[:, 2:] - corners[:, :2]).prod(1), 1.0))
  lag = min(_SECONDS, moments[-1] - moments[0])
  if lag <= 0:
    return 0.0
  # The first box at least a second later; of short tracks, the last one.
  later = np.searchsorted(moments, moments + lag - 1e-6)
  rows = np.flatnonzero(later < len(moments))
  later = later[rows]
  way = np.linalg.norm(center[later] - center[rows], axis=1)
  return float(np.mean(way / sides[rows] / (moments[later] - moments[rows])))
