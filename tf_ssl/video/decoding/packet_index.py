"""Where the frames of a video file lie: read from its packets, undecoded."""

from array import array
from typing import NamedTuple

import av
import numpy as np

from tf_ssl.video.decoding import frames

# Containers that store no presentation times: where frames are reordered,
# FFmpeg guesses the times, and with "packed B-frames" it guesses wrongly.
_WITHOUT_TIMES = {"avi", "h264", "hevc", "m4v", "mpegvideo"}


class PacketIndex(NamedTuple):
  """The frames of a video stream, in presentation order.

  About 9 bytes a frame: 1 MB for an hour.

  Attributes:
    pts: [T] int64, ascending: time stamps, in units of `time_base`.
    keyframes: [K] int64, ascending: numbers of frames to start decoding at.
    keyframe_dts: [K] int64, their decoding time stamps, to seek to.
    time_base: seconds.
    origin: the time stamp at which the file begins, with all its streams.
    is_exact: whether `pts` tells which frame is which. If not, frame n is the
      nth that comes out of the decoder.
  """

  pts: np.ndarray
  keyframes: np.ndarray
  keyframe_dts: np.ndarray
  time_base: float
  origin: int
  is_exact: bool

  @property
  def times(self) -> np.ndarray:
    """[T] float64, seconds after the beginning of the file."""
    return (self.pts - self.origin) * self.time_base

  @property
  def fps(self) -> float:
    """Frames a second on average; 0 where one frame has no neighbor."""
    span = float(self.pts[-1] - self.pts[0]) * self.time_base
    return (len(self.pts) - 1) / span if span > 0 else 0.0

  def number(self, pts: int | None) -> int | None:
    """Returns the number of the frame with a time stamp, if there is one."""
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
  """Reads all packets of a stream; the container must be at its beginning.

  Packets that are cut off, or that the file says not to show, do not count.

  Args:
    name: of the video, for errors.
    container: the file.
    stream: the stream.

  Raises:
    DecodeError: there is no packet.
  """
  pts, dts, keys = array("q"), array("q"), array("b")
  guessed = False
  try:
    for packet in container.demux(stream):
      if not packet.size or packet.is_discard or packet.is_corrupt:
        continue
      decoding_time = packet.dts if packet.dts is not None else packet.pts
      guessed |= packet.pts is None
      pts.append(packet.pts if packet.pts is not None else len(pts))
      dts.append(decoding_time if decoding_time is not None else len(dts))
      keys.append(packet.is_keyframe)
  except av.error.FFmpegError as error:  # what was read before it counts
    if not pts:
      raise frames.DecodeError(name, f"no frame in it ({error})") from error
  if not pts:
    raise frames.DecodeError(name, "no frame in it")
  shown = np.frombuffer(pts, np.int64)
  order = np.argsort(shown, kind="stable")
  ascending = shown[order]
  is_reordered = bool((order[1:] < order[:-1]).any())
  is_exact = not guessed and bool((ascending[1:] > ascending[:-1]).all())
  if is_reordered and container.format.name in _WITHOUT_TIMES:
    is_exact = False
  keyframes = np.flatnonzero(np.frombuffer(keys, np.int8)[order])
  time_base = float(stream.time_base or 1)
  return PacketIndex(
    ascending,
    keyframes,
    np.frombuffer(dts, np.int64)[order][keyframes],
    time_base,
    _origin(container, time_base, int(ascending[0]), is_exact),
    is_exact,
  )


def _origin(container, time_base: float, first: int, is_exact: bool) -> int:
  if container.start_time is None or not is_exact:
    return first
  origin = round(container.start_time / av.time_base / time_base)
  return min(origin, first)
