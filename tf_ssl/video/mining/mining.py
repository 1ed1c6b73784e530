"""Mines the region tracks of one video.

A video is processed in stretches of some seconds, so that memory does not grow
with its length. The frames of a stretch are stored at the size used in
training; regions are proposed and tracked at a smaller size.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from tf_ssl import errors
from tf_ssl.ops import jpeg
from tf_ssl.video.decoding import decode, isolated
from tf_ssl.video.mining import track_records
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import (
  region_features,
  region_tracks,
  tracker,
)


class MiningSettings(NamedTuple):
  """Settings of the mining.

  Attributes:
    rate: sampling rate, frames per second; slower videos use every frame.
    stretch_seconds: length of a stretch, seconds; tracks end with it.
    tracks_per_stretch: maximum number of tracks per stretch; the best are kept.
    width: maximum width of the frames in which regions are tracked, pixels;
      0 for 480 with the matcher `chain` and 240 with the others.
    frame_size: maximum length of a stored frame's shorter side, pixels.
    quality: JPEG quality of the stored frames, 0..100.
    reader: reader of video files, see `decode.read_frames`.
    tracking: settings of the tracker.
    motion_rate: rate of the frames between which the matcher `chain` follows
      points, frames per second; rounded to a multiple of `rate`.
  """

  rate: float = 8.0
  stretch_seconds: float = 16.0
  tracks_per_stretch: int = 40
  width: int = 0
  frame_size: int = 256
  quality: int = jpeg.QUALITY
  reader: str = "auto"
  tracking: tracker.Settings = tracker.Settings()
  motion_rate: float = 16.0


class _Stretch(NamedTuple):
  """Sampled frames, and what lies between them at the size of tracking.

  Attributes:
    frames: T frames.
    between: T lists of [h, w] uint8, gray images after each frame.
  """

  frames: list[decode.Frame]
  between: list[list[np.ndarray]]


def check(settings: MiningSettings) -> None:
  """Checks the range of each setting.

  Raises:
    UsageError: a setting is out of range; names the first.
  """
  region_tracks.check(settings.tracking)
  errors.require(
    settings.reader in decode.READERS,
    f"reader={settings.reader}: expected one of {', '.join(decode.READERS)}",
  )
  minimum = {
    "rate": 0.01,
    "stretch_seconds": 0.1,
    "tracks_per_stretch": 1,
    "width": 32 if settings.width else 0,
    "frame_size": 32,
    "motion_rate": 0.01,
  }
  for name, bound in minimum.items():
    errors.require(
      getattr(settings, name) >= bound,
      f"{name}={getattr(settings, name)}: expected at least {bound}",
    )


def mine(
  video: videos.Video,
  decoder: isolated.Decoder,
  *,
  settings: MiningSettings | None = None,
  describe: region_features.Describe | None = None,
) -> Iterator[track_records.TrackedClip]:
  """Tracks regions through a video.

  Args:
    video: video to mine.
    decoder: decoder of the video.
    settings: settings of the mining; None for the defaults.
    describe: function from an image and boxes to features; None for
      `region_features.Histograms`.

  Yields:
    A clip per stretch in temporal order, which may have no track. Track ids are
    unique within the video.

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
    tracks = _track(stretch, rate, describe, settings)
    yield _clip(video, info, stretch.frames, tracks, next_id, settings)
    next_id += len(tracks)


def _stretches(video, decoder, rate, length, settings) -> Iterator[_Stretch]:
  """Yields stretches of `length` sampled frames; the last may be shorter."""
  stretch = _Stretch([], [])
  for frame, is_sampled in with_between(
    functools.partial(
      decoder.iterate_frames,
      video,
      size=settings.frame_size,
      reader=settings.reader,
    ),
    rate=rate,
    settings=settings,
  ):
    if is_sampled and len(stretch.frames) == length:
      yield stretch
      stretch = _Stretch([], [])
    if is_sampled:
      stretch.frames.append(frame)
      stretch.between.append([])
    else:
      stretch.between[-1].append(
        cv2.cvtColor(small(frame.image, settings), cv2.COLOR_RGB2GRAY)
      )
  if len(stretch.frames) > 1:
    yield stretch


def with_between(
  iterate: Callable[..., Iterator[decode.Frame]],
  *,
  rate: float,
  settings: MiningSettings,
) -> Iterator[tuple[decode.Frame, bool]]:
  """Yields sampled frames and, for `chain`, frames between them.

  Args:
    iterate: function that takes `every_seconds` and yields frames.
    rate: rate of the sampled frames, frames per second.
    settings: settings of the mining.

  Yields:
    A frame, and whether it is one of the sampled ones; the first one is.
  """
  parts = 1
  if settings.tracking.matcher == region_tracks.CHAIN:
    parts = max(round(settings.motion_rate / rate), 1)
  first, last = None, -1.0
  for frame in iterate(every_seconds=1.0 / (rate * parts)):
    first = frame.time if first is None else first
    # As in `decode.numbers_to_iterate`.
    moment = math.floor((frame.time - first) * rate + 1e-6)
    yield frame, moment > last
    last = max(moment, last)


def tracked_width(settings: MiningSettings) -> int:
  """Maximum width of the frames in which regions are tracked, pixels.

  The defaults are those with the best tracks (gin_configs/video/README.md);
  the thresholds of the matchers from frame to frame were chosen at 240.
  """
  is_chain = settings.tracking.matcher == region_tracks.CHAIN
  return settings.width or (480 if is_chain else 240)


def small(image: np.ndarray, settings: MiningSettings) -> np.ndarray:
  """Scales an image down to the width at which regions are tracked."""
  height, width = image.shape[:2]
  across = min(tracked_width(settings), width)
  size = (across, max(round(height * across / width), 1))
  return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _track(stretch, rate, describe, settings):
  """Returns the best tracks, with boxes as fractions of the frame."""
  frames = [small(frame.image, settings) for frame in stretch.frames]
  best = region_tracks.find(
    frames,
    stretch.between,
    rate=rate,
    describe=describe,
    settings=settings.tracking,
    limit=settings.tracks_per_stretch,
  )
  height, width = frames[0].shape[:2]
  scale = np.array([width, height] * 2, np.float32)
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
    tuple(track.end for track in tracks),
  )
