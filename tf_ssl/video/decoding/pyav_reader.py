"""Reads video files with PyAV, decoding only what a request needs."""

import os
from collections.abc import Iterable, Iterator

import av
import numpy as np

from tf_ssl.video.decoding import frames, packet_index
from tf_ssl.video.source import videos

# Accepted formats, whatever the file name. Playlists are excluded, since they
# make FFmpeg open other files and URLs, and so are formats that match any text.
_FORMATS = (
  "3g2,3gp,asf,avi,dv,flv,gif,h264,hevc,ivf,m4a,m4v,matroska,mj2,mjpeg,mov,mp4,"
  "mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,webm,wtv"
)


# Codecs of cover pictures.
_STILL = {"bmp", "gif", "mjpeg", "png", "tiff", "webp"}


class PyavReader(frames.Reader):
  """An open video file.

  Attributes:
    index: index of its frames.
    rotation: rotation applied to the last frame, degrees counterclockwise.
  """

  def __init__(self, video: videos.Video, *, num_threads: int = 0):
    """Opens the file and reads its index.

    Args:
      video: video file.
      num_threads: number of threads of the codec; 0 for one per core.

    Raises:
      DecodeError: the file is not a video, is empty, or is truncated before the
        first frame.
    """
    self._video, self._num_threads = video, num_threads
    self._container, self._stream = None, None
    self._may_seek = True
    self._reformatter = av.video.reformatter.VideoReformatter()
    self.rotation = 0
    self._open()
    try:
      self.index = packet_index.build(video.name, self._container, self._stream)
      self._part, self.times = part(video, self.index.times)
    except BaseException:
      self.close()
      raise

  def close(self) -> None:
    if self._container is not None:
      self._container.close()
      self._container = None

  @property
  def first(self) -> int:
    """Number of the first frame of the part to use, counted in the file."""
    return self._part.start

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
    found_any = False
    for number, frame in self._each(numbers, skip_missing):
      found_any = True
      time = float(self.times[number])
      yield frames.Frame(number, time, self._image(frame, size))
    if skip_missing and not found_any:
      raise frames.DecodeError(self._video.name, "no frame can be decoded")

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
    name, path = self._video.name, os.path.abspath(self._video.path)
    try:
      if not os.path.getsize(path):
        raise frames.DecodeError(name, "empty file")
      self._container = av.open(
        path,
        container_options={"format_whitelist": _FORMATS},
        metadata_errors="replace",  # A title may be in any encoding.
      )
    except (OSError, av.error.FFmpegError) as error:
      reason = error.strerror or type(error).__name__
      raise frames.DecodeError(
        name, f"cannot be opened as a video ({reason})"
      ) from error
    streams = [
      stream
      for stream in self._container.streams.video
      if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams or streams[0].codec_context is None:
      self.close()
      raise frames.DecodeError(name, "no video stream that can be decoded")
    self._stream = _film(streams)
    self._stream.thread_type = "AUTO"
    self._stream.codec_context.thread_count = self._num_threads
    # Makes a damaged frame an error; by default it is patched from the last.
    self._stream.codec_context.options = {"err_detect": "explode"}
    self._has_sought = False

  def _keyframe_before(self, number: int) -> int:
    if not (self._may_seek and self.index.is_exact):
      return 0
    row = np.searchsorted(self.index.keyframes, number, side="right") - 1
    return int(self.index.keyframes[row]) if row >= 0 else 0

  def _decode_from(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields (number, frame) from a keyframe on; 0 is the start of the file."""
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
    except av.error.FFmpegError:
      return False
    self._has_sought = True
    return True

  def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
    count, is_intact = 0, True
    try:
      for packet in self._container.demux(self._stream):
        # After an error, all frames up to the next keyframe are damaged.
        is_intact |= packet.is_keyframe
        is_damaged = packet.is_corrupt and self.index.is_exact
        if is_damaged or not is_intact:
          is_intact = False
          if packet.size:
            continue
        try:
          decoded = packet.decode()
        except av.error.FFmpegError:
          self._stream.codec_context.flush_buffers()
          is_intact = False
          continue
        for frame in decoded:
          self.num_decoded += 1
          number = self._number(frame, count)
          count += 1
          if number is not None and not frame.is_corrupt:
            yield number, frame
    except av.error.FFmpegError:
      return  # The file is truncated here.

  def _number(self, frame: av.VideoFrame, count: int) -> int | None:
    if self.index.is_exact:
      return self.index.number(frame.pts)
    return count

  def _image(self, frame: av.VideoFrame, size: int | None) -> np.ndarray:
    height, width = frames.scaled_size(frame.height, frame.width, size)
    interpolation = "AREA" if height < frame.height else None
    rgb = self._reformatter.reformat(
      frame, width, height, "rgb24", interpolation=interpolation
    )
    image = rgb.to_ndarray()
    self.rotation = round(frame.rotation / 90) % 4 * 90
    if not self.rotation:
      return image
    return np.ascontiguousarray(np.rot90(image, self.rotation // 90))


def _film(streams):
  """Returns the first stream that is no cover picture, else the first."""
  for stream in streams:
    context = stream.codec_context
    if context is not None and context.name not in _STILL:
      return stream
  return streams[0]


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


def _advance(decoded, number, at, held):
  """Advances to frame `number`, or to the first after it if it is missing."""
  while at < number:
    at, held = next(decoded, (_END, None))
  return at, held


_END = 1 << 62
