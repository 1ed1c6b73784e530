"""Index of the frames of a video file, built from its packets."""

from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

import av
import numpy as np

from tf_ssl.video.decoding import frames

# Containers without presentation times: if frames are reordered, FFmpeg infers
# the times, and for "packed B-frames" the inferred times are wrong.
_WITHOUT_TIMES = {"avi"}
# Codecs that reorder frames without a flag that is known before decoding.
_MAY_REORDER = {"h264", "hevc", "vvc"}
# Bare streams: FFmpeg counts frames for times and takes a default for the rate.
_BARE = {"h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu"}
_FALLBACK_RATE = 25.0  # Frames per second, where the file has no rate.
_RATES = (1e-3, 1e3)  # Lowest and highest rate that is believed.
# A gap is a jump if it is longer than a minute and than 1000 usual gaps.
_JUMP = (60.0, 1000.0)
# Fraction of the announced length from which a file counts as complete.
_COMPLETE = 0.9
# A frame rate counts as constant if `_COMPLETE` of the gaps between time stamps
# differ from the usual one by at most this fraction of it.
_REGULAR = 0.1
_PROGRESSIVE = {0, 1}  # FFmpeg's field orders: unknown, progressive.


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
    needs_check: whether the decoder may return other frames than the packets
      announce, such as one frame for two packets with a field each.
    notes: what the user should know about the file, one clause each.
  """

  pts: np.ndarray
  keyframes: np.ndarray
  keyframe_dts: np.ndarray
  time_base: float
  origin: int
  is_exact: bool
  needs_check: bool = False
  notes: tuple[str, ...] = ()

  @property
  def times(self) -> np.ndarray:
    """[T] float64, presentation times from the start of the file, seconds."""
    return (self.pts - self.origin) * self.time_base

  @property
  def fps(self) -> float:
    """Mean frame rate without jumps, frames per second; 0 for one frame."""
    gaps = np.diff(self.pts)
    jumps = _jumps(gaps * self.time_base)
    span = float(self.pts[-1] - self.pts[0] - gaps[jumps].sum())
    span *= self.time_base
    return (len(gaps) - int(jumps.sum())) / span if span > 0 else 0.0

  def number(self, pts: int | None) -> int | None:
    """Returns the number of the frame with time stamp `pts`, or None."""
    if pts is None:
      return None
    number = int(np.searchsorted(self.pts, pts))
    found = number < len(self.pts) and self.pts[number] == pts
    return number if found else None

  def only(self, pts: np.ndarray) -> "PacketIndex":
    """Returns the index of some of the frames.

    Args:
      pts: [n] int64, their time stamps, ascending.
    """
    starts = self.pts[self.keyframes]
    kept = np.isin(starts, pts)
    return self._replace(
      pts=pts,
      keyframes=np.searchsorted(pts, starts[kept]),
      keyframe_dts=self.keyframe_dts[kept],
    )


class Packets:
  """The packets of a stream, up to its end or to what cannot be read.

  Attributes:
    container: open video file.
    stream: video stream of the file.
    problem: the error at which reading ended; None at the end of the file.
    pts: time stamps of the file, by packet, if packets are `numbered`.
  """

  def __init__(
    self,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    on_progress: Callable[[], None] = lambda: None,
    *,
    numbered: bool = False,
  ):
    """Initializes the packets.

    Args:
      container: open video file.
      stream: video stream of the file.
      on_progress: function called for each packet.
      numbered: whether to replace time stamps by the packet's number, from 0,
        which decoders pass on to the frame.
    """
    self.problem: Exception | None = None
    self.container, self.stream = container, stream
    self.pts: list[int | None] = []
    self._on_progress = on_progress
    self._numbered = numbered

  def __iter__(self) -> Iterator[av.Packet]:
    packets = None
    while True:
      try:
        if packets is None:
          packets = self.container.demux(self.stream)
        packet = next(packets, None)
      except Exception as error:  # The file may hold anything.
        self.problem = error
        return
      if packet is None:
        return
      if packet.size:
        self._on_progress()
        if self._numbered:
          self.pts.append(packet.pts)
          # Without decoding times, FFmpeg does not correct what it takes for
          # presentation times.
          packet.pts, packet.dts = len(self.pts) - 1, None
        yield packet


def build(name: str, packets: Packets) -> PacketIndex:
  """Reads all packets of a stream.

  Packets marked as not shown are ignored. Damaged ones count as frames, since
  players show something in their place.

  Args:
    name: name of the video, for errors.
    packets: packets of the stream, from the start of the file.

  Raises:
    DecodeError: the stream has no packet.
  """
  container, stream = packets.container, packets.stream
  pts, dts, keys = array("q"), array("q"), array("b")
  has_all_times, runs_backwards = True, False
  latest, num_hidden = None, 0
  for packet in packets:
    if packet.is_discard or _is_hidden(packet, stream):
      num_hidden += 1
      continue
    if packet.dts is not None:
      runs_backwards |= latest is not None and packet.dts < latest
      latest = packet.dts
    decoding_time = packet.dts if packet.dts is not None else packet.pts
    has_all_times &= packet.pts is not None
    pts.append(packet.pts if packet.pts is not None else len(pts))
    dts.append(decoding_time if decoding_time is not None else len(dts))
    keys.append(packet.is_keyframe)
  problem = packets.problem
  if not pts:
    reason = f" ({frames.why(problem)})" if problem else ""
    raise frames.DecodeError(name, f"it has no frame{reason}") from problem
  shown = np.frombuffer(pts, np.int64)
  order = np.argsort(shown, kind="stable")
  ascending = shown[order]
  keyframes = np.flatnonzero(np.frombuffer(keys, np.int8)[order])
  is_exact = has_all_times and bool((ascending[1:] > ascending[:-1]).all())
  if container.format.name in _WITHOUT_TIMES:
    is_reordered = bool((order[1:] < order[:-1]).any())
    codec = stream.codec_context.name
    is_exact &= not is_reordered and codec not in _MAY_REORDER
  is_exact &= container.format.name not in _BARE
  is_exact &= not runs_backwards  # Time stamps start again in joined files.
  is_interlaced = stream.codec_context.field_order not in _PROGRESSIVE
  notes = []
  if problem is not None:
    notes.append(
      f"it cannot be read beyond frame {len(shown) - 1} ({frames.why(problem)})"
    )
  elif len(shown) + num_hidden < _COMPLETE * stream.frames:
    notes.append(
      f"its header announces {stream.frames} frames, it has {len(shown)}"
    )
  if not is_exact:
    why = "its time stamps repeat"
    if container.format.name in _WITHOUT_TIMES | _BARE:
      why = "it has no time stamps"
    elif not has_all_times:
      why = "some of its time stamps are missing"
    elif runs_backwards:
      why = "its time stamps run backwards"
    index = counted(len(shown), packets, why=why)
    return index._replace(
      needs_check=is_interlaced, notes=(*index.notes, *notes)
    )
  time_base = float(stream.time_base or 1)
  gaps = np.diff(ascending) * time_base
  if len(gaps) and not notes:
    end = float(ascending[-1]) * time_base + np.median(gaps)
    notes += _ends_early(packets, end)
  notes += _irregular(gaps)
  return PacketIndex(
    ascending,
    keyframes,
    np.frombuffer(dts, np.int64)[order][keyframes],
    time_base,
    _origin(container, time_base, int(ascending[0])),
    is_exact=True,
    # Only MP4 lists frames; other files may begin in the middle of a film.
    needs_check=is_interlaced
    or keyframes[:1].tolist() != [0]
    or "mp4" not in container.format.name,
    notes=tuple(notes),
  )


def counted(num_frames: int, packets: Packets, *, why: str) -> PacketIndex:
  """Returns an index of frames whose time stamps do not identify them.

  Args:
    num_frames: number of frames, T.
    packets: packets of the stream.
    why: what is wrong with the time stamps, a clause for `notes`.
  """
  rate, is_known = _rate(packets.container, packets.stream)
  how = "" if is_known else ", a guess, since the file states no certain rate"
  note = f"{why}: times are those of {rate:g} frames per second{how}"
  first = np.zeros(1, np.int64)
  return PacketIndex(
    np.arange(num_frames), first, first, 1 / rate, 0, False, notes=(note,)
  )


def _rate(container, stream) -> tuple[float, bool]:
  """Returns the frame rate, and whether the file states it."""
  is_bare = container.format.name in _BARE
  rates = [stream.average_rate, stream.base_rate]
  if is_bare:
    rates.insert(0, stream.guessed_rate)
  for rate in rates:
    if rate and _RATES[0] <= rate <= _RATES[1]:
      return float(rate), not is_bare
  return _FALLBACK_RATE, False


def _is_hidden(packet: av.Packet, stream: av.video.stream.VideoStream) -> bool:
  """Whether a packet holds a frame of VP8 that is only referred to."""
  if stream.codec_context.name != "vp8":
    return False
  is_not_key, is_shown = 0x01, 0x10
  return bytes(packet)[0] & (is_not_key | is_shown) == is_not_key


def _ends_early(packets: Packets, end: float) -> list[str]:
  """Returns the note about a file that is shorter than its header says.

  Args:
    packets: packets of the film.
    end: time at which its last frame ends, seconds.
  """
  container = packets.container
  if len(container.streams) > 1 or not container.duration:
    return []  # The sound may be longer.
  length = end - (container.start_time or 0) / av.time_base
  announced = container.duration / av.time_base
  if length >= _COMPLETE * announced:
    return []
  return [f"its header announces {announced:g} s, it ends at {length:g} s"]


def _irregular(gaps: np.ndarray) -> list[str]:
  """Returns notes about gaps between time stamps that are too long.

  Args:
    gaps: [T - 1] times between frames, seconds.
  """
  jumps = _jumps(gaps)
  notes = [
    f"its time stamps jump by {gaps[row]:g} s after frame {row}"
    for row in np.flatnonzero(jumps)[:1]
  ]
  usual = np.median(gaps) if len(gaps) else 0.0
  is_regular = np.abs(gaps - usual) <= _REGULAR * usual
  if len(gaps) and is_regular.mean() >= _COMPLETE:
    count = int((~jumps & (gaps > 1.5 * usual)).sum())
    if count:
      notes.append(
        f"its time stamps have gaps ({count}), as if frames were missing"
      )
  return notes


def _jumps(gaps: np.ndarray) -> np.ndarray:
  """[T - 1] bool, whether a gap between time stamps is implausible.

  Args:
    gaps: [T - 1] times between frames, seconds.
  """
  shortest, ratio = _JUMP
  usual = np.median(gaps) if len(gaps) else 0.0
  return gaps > max(shortest, ratio * usual)


def _origin(container, time_base: float, first: int) -> int:
  if container.start_time is None:
    return first
  origin = round(container.start_time / av.time_base / time_base)
  return min(origin, first)
