"""Index of the frames of a video file, built from its packets."""

from array import array
from typing import NamedTuple

import av
import numpy as np

from tf_ssl.video.decoding import frames

# Containers without presentation times: if frames are reordered, FFmpeg infers
# the times, and for "packed B-frames" the inferred times are wrong.
_WITHOUT_TIMES = {"avi", "h264", "hevc", "m4v", "mpegvideo"}
# Codecs that reorder frames without a flag that is known before decoding.
_MAY_REORDER = {"h264", "hevc", "vvc"}
_FALLBACK_RATE = 25.0  # Frames per second, where the file has no rate.


class PacketIndex(NamedTuple):
  """The frames of a video stream, in presentation order.

  About 9 bytes per frame: 1 MB for an hour.

  Attributes:
    pts: [T] int64, presentation time stamps, ascending, units of `time_base`.
    keyframes: [K] int64, numbers of the frames at which decoding can start,
      ascending.
    keyframe_dts: [K] int64, decoding time stamps of the keyframes, for seeking.
    time_base: unit of the time stamps, seconds.
    origin: time stamp of the start of the file, over all its streams.
    is_exact: whether `pts` identifies the frames. If not, frame n is the nth
      frame that the decoder returns, and its time is n / frame rate.
  """

  pts: np.ndarray
  keyframes: np.ndarray
  keyframe_dts: np.ndarray
  time_base: float
  origin: int
  is_exact: bool

  @property
  def times(self) -> np.ndarray:
    """[T] float64, presentation times from the start of the file, seconds."""
    return (self.pts - self.origin) * self.time_base

  @property
  def fps(self) -> float:
    """Mean frame rate, frames per second; 0 for a single frame."""
    span = float(self.pts[-1] - self.pts[0]) * self.time_base
    return (len(self.pts) - 1) / span if span > 0 else 0.0

  def number(self, pts: int | None) -> int | None:
    """Returns the number of the frame with time stamp `pts`, or None."""
    if pts is None:
      return None
    number = int(np.searchsorted(self.pts, pts))
    found = number < len(self.pts) and self.pts[number] == pts
    return number if found else None


def build(
  name: str,
  container: av.container.InputContainer,
  stream: av.video.stream.VideoStream,
) -> PacketIndex:
  """Reads all packets of a stream; the container must be at its start.

  Packets marked as not shown are ignored; so are truncated packets, unless the
  time stamps do not identify the frames.

  Args:
    name: name of the video, for errors.
    container: open video file.
    stream: video stream of the file.

  Raises:
    DecodeError: the stream has no packet.
  """
  pts, dts, keys = array("q"), array("q"), array("b")
  has_all_times, runs_backwards, num_corrupt = True, False, 0
  latest = None
  try:
    for packet in container.demux(stream):
      if not packet.size or packet.is_discard:
        continue
      if packet.is_corrupt:
        num_corrupt += 1
        continue
      if packet.dts is not None:
        runs_backwards |= latest is not None and packet.dts < latest
        latest = packet.dts
      decoding_time = packet.dts if packet.dts is not None else packet.pts
      has_all_times &= packet.pts is not None
      pts.append(packet.pts if packet.pts is not None else len(pts))
      dts.append(decoding_time if decoding_time is not None else len(dts))
      keys.append(packet.is_keyframe)
  except av.error.FFmpegError as error:  # Packets read before it are used.
    if not pts:
      raise frames.DecodeError(name, f"it has no frame ({error})") from error
  if not pts:
    raise frames.DecodeError(name, "it has no frame")
  shown = np.frombuffer(pts, np.int64)
  order = np.argsort(shown, kind="stable")
  ascending = shown[order]
  is_reordered = bool((order[1:] < order[:-1]).any())
  is_exact = has_all_times and bool((ascending[1:] > ascending[:-1]).all())
  if container.format.name in _WITHOUT_TIMES:
    codec = stream.codec_context.name
    is_exact &= not is_reordered and codec not in _MAY_REORDER
  is_exact &= not runs_backwards  # Time stamps start again in joined files.
  keyframes = np.flatnonzero(np.frombuffer(keys, np.int8)[order])
  if not is_exact:
    rate = stream.average_rate or stream.base_rate or _FALLBACK_RATE
    # Where files were joined, a whole packet may be marked as corrupt.
    numbers = np.arange(len(shown) + num_corrupt)
    return PacketIndex(
      numbers, keyframes, numbers[keyframes], 1 / float(rate), 0, False
    )
  time_base = float(stream.time_base or 1)
  return PacketIndex(
    ascending,
    keyframes,
    np.frombuffer(dts, np.int64)[order][keyframes],
    time_base,
    _origin(container, time_base, int(ascending[0])),
    True,
  )


def _origin(container, time_base: float, first: int) -> int:
  if container.start_time is None:
    return first
  origin = round(container.start_time / av.time_base / time_base)
  return min(origin, first)
