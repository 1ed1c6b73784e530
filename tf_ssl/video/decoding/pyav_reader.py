"""Reads video files with PyAV, decoding only what a request needs."""

import itertools
from collections.abc import Callable, Iterable, Iterator

import av
import numpy as np

from tf_ssl.video.decoding import film, frames, packet_index
from tf_ssl.video.source import videos

_HEAD = 8  # Number of frames by which an index is checked.


class PyavReader(frames.Reader):
  """An open video file.

  Frame n is the nth that a player shows, one that patches damaged frames from
  others and does not stop; such frames are never returned.

  Attributes:
    index: index of its frames.
    rotation: rotation applied to the last frame, degrees counterclockwise.
  """

  def __init__(
    self,
    video: videos.Video,
    *,
    num_threads: int = 0,
    on_progress: Callable[[], None] = lambda: None,
  ):
    """Opens the file and reads its index.

    Args:
      video: video file.
      num_threads: number of threads of the codec; 0 for one per core.
      on_progress: function called for each packet that is read.

    Raises:
      DecodeError: the file is not a video, is empty, is truncated before the
        first frame, or its frames are too large.
    """
    self._video, self._num_threads = video, num_threads
    self._on_progress = on_progress
    self._container, self._stream = None, None
    self._may_seek = True
    self._lost: tuple[str, ...] = ()
    self._is_damaged = False
    # Numbers of frames by those of their packets, once counting them is not
    # enough: after damage in a file whose index is not exact.
    self._by_packet: dict[int, int] | None = None
    self._reformatter = av.video.reformatter.VideoReformatter()
    self.rotation = 0
    self._open()
    try:
      index = packet_index.build(video.name, self._packets())
      self.index = self._checked(index) if index.needs_check else index
      self._part, self.times = part(video, self.index.times)
    except BaseException:
      self.close()
      raise

  def close(self) -> None:
    if self._container is not None:
      self._container.close()
      self._container = None

  @property
  def notes(self) -> tuple[str, ...]:
    return self.index.notes + self._lost

  @property
  def first(self) -> int:
    """Number of the first frame of the part to use, counted in the file."""
    return self._part.start

  @property
  def is_first_stream(self) -> bool:
    """Whether no other video stream, such as a cover picture, comes before."""
    return self._stream.index == self._container.streams.video[0].index

  @property
  def coded_width(self) -> int:
    """Width of the frames before rotation, pixels."""
    return self._stream.codec_context.width

  def info(self) -> frames.VideoInfo:
    numbers = range(len(self.times))
    image = next(self.frames(numbers, skip_missing=True)).image
    fps = self.index.fps or float(self._stream.average_rate or 1)
    height, width = image.shape[:2]
    duration = float(self.times[-1] - self.times[0]) + 1 / fps
    return frames.VideoInfo(len(self.times), fps, height, width, duration)

  def frames(
    self,
    numbers: Iterable[int],
    *,
    size: int | None = None,
    skip_missing: bool = False,
  ) -> Iterator[frames.Frame]:
    numbers = list(numbers)
    count = 0
    for number, frame in self._each(numbers, skip_missing):
      count += 1
      time = float(self.times[number])
      yield frames.Frame(number, time, self._image(frame, size))
    self._lost = frames.lost(len(numbers) - count, len(numbers))
    if self._is_damaged and not self._lost:
      self._lost = (
        f"it is damaged, but not in the {count} frames that were read",
      )
    if skip_missing and not count:
      has_size = self._stream.codec_context.width > 0
      hint = "" if has_size else f": of no size, or above {film.MAX_PIXELS} px"
      raise frames.DecodeError(
        self._video.name, f"no frame can be decoded{hint}"
      )

  def check(self, numbers: Iterable[int]) -> None:
    """Decodes frames only to find damage.

    Args:
      numbers: frame numbers within the part to use, ascending.

    Raises:
      DecodeError: a frame cannot be decoded.
    """
    for _ in self._each(numbers, skip_missing=False):
      pass

  def _each(
    self, numbers: Iterable[int], skip_missing: bool
  ) -> Iterator[tuple[int, av.VideoFrame]]:
    decoded, at, held = iter(()), None, None
    for relative in numbers:
      number = relative + self._part.start
      key = self._keyframe_before(number)
      if at is None or key > at + 1:
        decoded, at, held = self._decode_from(key), key - 1, None
      at, held = _advance(decoded, number, at, held)
      if at != number and self._may_seek and self._has_sought:
        # The seek, or the file's list of keyframes, was wrong.
        self._may_seek = False
        decoded = self._decode_from(0)
        at, held = _advance(decoded, number, -1, None)
      if at == number:
        yield relative, held
      elif not skip_missing:
        raise frames.missing(self._video.name, [relative])

  def _open(self) -> None:
    """Opens the file again, at its start."""
    self.close()
    self._container, self._stream = film.open_film(
      self._video, num_threads=self._num_threads
    )
    # Makes a damaged frame an error; by default it is patched from the last.
    options = {**film.LIMITS, "err_detect": "explode"}
    self._stream.codec_context.options = options
    self._has_sought = False

  def _packets(self, *, numbered: bool = False) -> packet_index.Packets:
    return packet_index.Packets(
      self._container, self._stream, self._on_progress, numbered=numbered
    )

  def _checked(
    self, index: packet_index.PacketIndex
  ) -> packet_index.PacketIndex:
    """Corrects an index by the frames that a player shows."""
    if index.is_exact:
      head = [pts for _, pts in itertools.islice(self._shown(), _HEAD)]
      # Frames before the first keyframe are not shown.
      first = index.number(head[0]) if head else None
      if first is not None:
        if head == index.pts[first : first + len(head)].tolist():
          return index.only(index.pts[first:])
    shown = list(self._shown())
    if not shown:
      raise frames.DecodeError(self._video.name, "no frame can be decoded")
    pts = [pts for _, pts in shown]
    if index.is_exact and _is_ascending(pts):
      return index.only(np.array(pts, np.int64))
    counted = packet_index.counted(
      len(shown),
      self._packets(),
      why="its time stamps contradict the order of its frames",
    )
    return counted._replace(
      notes=index.notes if not index.is_exact else counted.notes + index.notes
    )

  def _keyframe_before(self, number: int) -> int:
    if not (self._may_seek and self.index.is_exact):
      return 0
    row = np.searchsorted(self.index.keyframes, number, side="right") - 1
    return int(self.index.keyframes[row]) if row >= 0 else 0

  def _decode_from(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields (number, frame) from a keyframe on; 0 is the start of the file."""
    latest = -1
    try:
      for latest, frame in self._decode_once(key):
        yield latest, frame
    except _ThreadsError:
      # Several threads drop intact frames, too; how many depends on their
      # number.
      self._num_threads = 1
      self._open()
      for number, frame in self._decode_once(key):
        if number > latest:
          yield number, frame

  def _decode_once(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
    if key and self._seek(key):
      for number, frame in self._decode():
        if number < key:
          continue  # It refers to frames before the keyframe.
        if number == key and not frame.key_frame:
          return
        yield number, frame
    else:
      self._open()
      yield from self._decode()

  def _seek(self, key: int) -> bool:
    row = np.searchsorted(self.index.keyframes, key)
    try:
      self._container.seek(
        int(self.index.keyframe_dts[row]), stream=self._stream
      )
    except Exception:  # The file may hold anything: it is read from its start.
      return False
    self._has_sought = True
    return True

  def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields (number, frame), ascending, without damaged frames.

    Raises:
      _ThreadsError: a packet is damaged, and several threads decode.
    """
    count, latest, is_intact = 0, -1, True
    packets = self._packets(numbered=not self.index.is_exact)
    for packet in itertools.chain(packets, [None]):
      if packet is not None:
        # After an error, all frames up to the next keyframe are damaged.
        is_intact |= packet.is_keyframe
        if packet.is_corrupt and not self._is_joined:
          is_intact = False
        if not is_intact:
          self._note_damage()
          continue
      try:
        decoded = self._stream.decode(packet)
      except Exception as error:  # The file may hold anything.
        if self._num_threads != 1 and not self._has_sought:
          raise _ThreadsError from error
        self._stream.codec_context.flush_buffers()
        is_intact = False
        self._note_damage()
        continue
      for frame in decoded:
        self.num_decoded += 1
        number = self._number(frame, count)
        count += 1
        if number is not None and number > latest and not frame.is_corrupt:
          self._is_damaged |= number > latest + 1 and not self._has_sought
          latest = number
          yield number, frame

  def _shown(self) -> Iterator[tuple[int | None, int | None]]:
    """Decodes as a player does, which patches damaged frames.

    Yields:
      For each frame the number of its packet and the time stamp.
    """
    container, stream = film.open_film(
      self._video, num_threads=self._num_threads
    )
    with container:
      packets = packet_index.Packets(
        container, stream, self._on_progress, numbered=True
      )
      for packet in itertools.chain(packets, [None]):
        try:
          decoded = stream.decode(packet)
        except Exception:  # The file may hold anything.
          continue
        for frame in decoded:
          is_known = frame.pts is not None and 0 <= frame.pts < len(packets.pts)
          yield frame.pts, packets.pts[frame.pts] if is_known else None

  @property
  def _is_joined(self) -> bool:
    """Whether whole packets may be marked as damaged, where files meet."""
    joinable = self._container.format.name in ("mpeg", "mpegts")
    return joinable and not self.index.is_exact

  def _number(self, frame: av.VideoFrame, count: int) -> int | None:
    if self.index.is_exact:
      return self.index.number(frame.pts)
    if self._by_packet is None:
      return count
    return self._by_packet.get(frame.pts)

  def _note_damage(self) -> None:
    """Finds out which packet holds which frame, if frames were counted."""
    # After a seek, frames may refer to others before it. What is missing then
    # is decoded from the start of the file.
    self._is_damaged |= not self._has_sought
    if not self.index.is_exact and self._by_packet is None:
      shown = [packet for packet, _ in self._shown()]
      # Two frames of one packet are indistinguishable.
      is_unique = len(set(shown)) == len(shown)
      self._by_packet = (
        {packet: n for n, packet in enumerate(shown)} if is_unique else {}
      )

  def _image(self, frame: av.VideoFrame, size: int | None) -> np.ndarray:
    height, width = frames.scaled_size(frame.height, frame.width, size)
    interpolation = "AREA" if height < frame.height else None
    try:
      rgb = self._reformatter.reformat(
        frame, width, height, "rgb24", interpolation=interpolation
      )
      image = rgb.to_ndarray()
    except Exception as error:  # The file may hold anything.
      raise frames.DecodeError(
        self._video.name,
        f"its frames cannot be converted to RGB ({frames.why(error)})",
      ) from error
    self.rotation = round(frame.rotation / 90) % 4 * 90
    if not self.rotation:
      return image
    return np.ascontiguousarray(np.rot90(image, self.rotation // 90))


class _ThreadsError(Exception):
  """A damaged packet met several decoding threads."""


def part(video: videos.Video, times: np.ndarray) -> tuple[range, np.ndarray]:
  """Returns the numbers and times of the frames of the part to use.

  Args:
    video: video with the start and end of the part.
    times: [T] times of all frames, ascending, seconds.

  Raises:
    DecodeError: no frame is in that part.
  """
  slack = 1e-6  # Seconds; for times written with few digits.
  first = np.searchsorted(times, (video.start or 0.0) - slack)
  last = len(times)
  if video.end is not None:
    last = np.searchsorted(times, video.end - slack)
  if first >= last:
    raise frames.DecodeError(
      video.name,
      f"no frame between {video.start or 0:g} s and "
      f"{'the end' if video.end is None else f'{video.end:g} s'}; it has "
      f"{len(times)} from {times[0]:g} to {times[-1]:g} s",
    )
  return range(int(first), int(last)), times[first:last]


def _is_ascending(pts: list[int | None]) -> bool:
  return None not in pts and all(a < b for a, b in itertools.pairwise(pts))


def _advance(decoded, number, at, held):
  """Advances to frame `number`, or to the first after it if it is missing."""
  while at < number:
    at, held = next(decoded, (_END, None))
  return at, held


_END = 1 << 62
