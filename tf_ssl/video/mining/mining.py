"""From a video to region tracks: what is done with each video.

A video is gone through stretch by stretch, so that memory does not grow with
its length. Of a stretch the frames are kept at the size that training will see;
regions are proposed and followed on smaller ones.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tf_ssl import errors
from tf_ssl.ops import jpeg
from tf_ssl.video.decoding import decode, isolated, readers
from tf_ssl.video.mining import track_records
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import (
  matching,
  region_features,
  track_scores,
  tracker,
)


class MiningSettings(NamedTuple):
  """How tracks are mined.

  Attributes:
    rate: sampled frames a second; of a slower video all are taken.
    stretch_seconds: tracks are looked for in stretches of so long.
    tracks_per_stretch: the best so many are kept, R.
    width: the most pixels across of the frames in which regions are followed.
    frame_size: the most pixels of a stored frame's shorter side.
    quality: of the stored JPEGs, 0..100.
    reader: see `decode.read_frames`.
    tracking: see `tracker.Settings`.
  """

  rate: float = 8.0
  stretch_seconds: float = 16.0
  tracks_per_stretch: int = 20
  width: int = 240
  frame_size: int = 256
  quality: int = jpeg.QUALITY
  reader: str = "auto"
  tracking: tracker.Settings = tracker.Settings()


def check(settings: MiningSettings) -> None:
  """Refuses settings that cannot be meant.

  Raises:
    UsageError: names the first of them.
  """
  matching.by_name(settings.tracking.matcher)
  if settings.reader not in readers.READERS:
    raise errors.UsageError(
      f"reader={settings.reader}: expected one of {', '.join(readers.READERS)}"
    )
  least = {
    "rate": 0.01,
    "stretch_seconds": 0.1,
    "tracks_per_stretch": 1,
    "width": 32,
    "frame_size": 32,
  }
  for name, bound in least.items():
    if not getattr(settings, name) >= bound:
      raise errors.UsageError(
        f"{name}={getattr(settings, name)}: expected at least {bound}"
      )


def mine(
  video: videos.Video,
  decoder: isolated.Decoder,
  *,
  settings: MiningSettings | None = None,
  describe: region_features.Describe | None = None,
) -> Iterator[track_records.TrackedClip]:
  """Follows regions through a video.

  Args:
    video: what to go through.
    decoder: decodes it.
    settings: None for the defaults.
    describe: features of regions; histograms by default.

  Yields:
    A clip for each stretch, in the order of time; there may be no track in it.
    Ids of tracks are unique within the video.

  Raises:
    DecodeError: the video cannot be decoded.
  """
  settings = settings or MiningSettings()
  describe = describe or region_features.Histograms()
  info = decoder.probe(video)
  rate = min(settings.rate, info.fps)
  length = max(round(settings.stretch_seconds * rate), 2)
  next_id = 0
  for stretch in _stretches(video, decoder, rate, length, settings):
    tracks = _follow(stretch, rate, describe, settings)
    yield _clip(video, info, stretch, tracks, next_id, settings)
    next_id += len(tracks)


def _stretches(
  video, decoder, rate, length, settings
) -> Iterator[list[decode.Frame]]:
  """Lists of `length` sampled frames; the last is shorter."""
  stretch = []
  for frame in decoder.iterate_frames(
    video,
    every_seconds=1.0 / rate,
    size=settings.frame_size,
    reader=settings.reader,
  ):
    stretch.append(frame)
    if len(stretch) == length:
      yield stretch
      stretch = []
  if len(stretch) > 1:
    yield stretch


def _follow(stretch, rate, describe, settings):
  """The best tracks; boxes as shares of the frame."""
  height, width = stretch[0].image.shape[:2]
  across = min(settings.width, width)
  small = (across, max(round(height * across / width), 1))
  frames = [
    cv2.resize(frame.image, small, interpolation=cv2.INTER_AREA)
    for frame in stretch
  ]
  found = tracker.track(
    frames, rate=rate, describe=describe, settings=settings.tracking
  )
  best = track_scores.best(found, limit=settings.tracks_per_stretch)
  scale = np.array([small[0], small[1]] * 2, np.float32)
  return [track._replace(boxes=track.boxes / scale) for track in best]


def _clip(video, info, stretch, tracks, next_id, settings):
  height, width = stretch[0].image.shape[:2]
  frames = []
  for row, frame in enumerate(stretch):
    here = [
      (next_id + number, track.boxes[row - track.start])
      for number, track in enumerate(tracks)
      if 0 <= row - track.start < len(track.boxes)
    ]
    ids = np.array([number for number, _ in here], np.int64)
    boxes = np.array([box for _, box in here], np.float32).reshape(-1, 4)
    frames.append(
      track_records.TrackedFrame(
        jpeg.encode(frame.image, settings.quality),
        int(frame.number),
        float(frame.time),
        ids,
        np.clip(boxes[:, [1, 0, 3, 2]], 0.0, 1.0),
      )
    )
  return track_records.TrackedClip(
    video.name,
    float(info.fps),
    (info.height, info.width),
    height,
    width,
    frames,
    {next_id + n: track.score for n, track in enumerate(tracks)},
  )


def rows_of(clip: track_records.TrackedClip) -> Sequence[tuple]:
  """Rows of tracks.csv.

  Returns:
    For each region (video, track, frame, xmin, ymin, xmax, ymax, score), in
    pixels of the video.
  """
  height, width = clip.video_size
  return [
    (
      clip.video,
      int(track),
      frame.number,
      *(
        round(float(share) * side, 1)
        for share, side in zip(
          box[[1, 0, 3, 2]], [width, height] * 2, strict=True
        )
      ),
      round(clip.scores[track], 4),
    )
    for frame in clip.frames
    for track, box in zip(frame.tracks.tolist(), frame.boxes, strict=True)
  ]
