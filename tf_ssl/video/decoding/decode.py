"""Reads frames of videos: one interface for all file types and readers.

A native library that decodes untrusted files may crash. Training therefore
decodes through `isolated.Decoder`, which has the same methods in a child
process. The functions here decode in this process, except with the
tensorflow-io reader, which always runs in a child process.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.ops import names
from tf_ssl.video.decoding import (
  frame_folder_reader,
  frames,
  isolated,
  pyav_reader,
)
from tf_ssl.video.source import videos

READERS = ("auto", "pyav", "tfio")

DecodeError = frames.DecodeError
Frame = frames.Frame
Frames = frames.Frames
VideoInfo = frames.VideoInfo


def probe(video: videos.Video) -> VideoInfo:
  """Returns number, rate and size of the frames of a video.

  The frames are counted by the packets of the file, so that damaged frames are
  included. Only one frame is decoded.

  Raises:
    DecodeError: the file is not a video, or no frame can be decoded.
  """
  with open_reader(video) as reader:
    return reader.info()


def read_frames(
  video: videos.Video,
  numbers: Sequence[int],
  *,
  reader: str = "auto",
  size: int | None = None,
) -> Frames:
  """Reads frames by number; only these are held in memory.

  Frame n is the nth frame in presentation order, from 0 at the start of the
  part to use. A frame that cannot be decoded is an error; it is never replaced
  by another frame. Rotation metadata is applied.

  Args:
    video: video file or folder of frames.
    numbers: [n] frame numbers in any order; a number may be repeated.
    reader: "auto" (PyAV for files), "pyav" or "tfio" (tensorflow-io; starts a
      process with TensorFlow for this call: use one `isolated.Decoder` for
      several calls). Both readers return the same frames.
    size: maximum length of the shorter side, pixels; larger frames are scaled
      down. None keeps the original size.

  Returns:
    The frames, in the order of `numbers`.

  Raises:
    DecodeError: the video or a frame cannot be decoded, or a number is out of
      range.
    UsageError: the reader is unknown or not installed.
  """
  if reader == "tfio":
    with isolated.Decoder() as decoder:
      return decoder.read_frames(video, numbers, reader=reader, size=size)
  with open_reader(video, reader) as opened:
    frames.check_numbers(video.name, numbers, len(opened.times))
    found = opened.frames(sorted(set(numbers)), size=size)
    return frames.gather(video.name, numbers, found)


def iterate_frames(
  video: videos.Video,
  *,
  stride: int = 1,
  every_seconds: float | None = None,
  size: int | None = None,
  reader: str = "auto",
) -> Iterator[Frame]:
  """Yields frames from first to last, holding one at a time.

  Frames that cannot be decoded are omitted; `Frame.number` shows the gaps, and
  a line in the log names the file and their number.

  Args:
    video: video file or folder of frames.
    stride: distance between frames, in frames, from frame 0.
    every_seconds: sampling interval in seconds, instead of `stride`: the first
      frame at or after each multiple of it, counted from frame 0.
    size: maximum length of the shorter side, pixels; larger frames are scaled
      down. None keeps the original size.
    reader: "auto" (PyAV for files), "pyav" or "tfio"; see `read_frames`.

  Yields:
    Tuples (number, time, image); see `Frame`.

  Raises:
    DecodeError: the video, or every one of these frames, cannot be decoded.
    UsageError: `stride` or `every_seconds` is not above 0, or both are given.
  """
  if reader == "tfio":
    with isolated.Decoder() as decoder:
      yield from decoder.iterate_frames(
        video,
        stride=stride,
        every_seconds=every_seconds,
        size=size,
        reader=reader,
      )
    return
  with open_reader(video, reader) as opened:
    numbers = numbers_to_iterate(
      opened.times, stride=stride, every_seconds=every_seconds
    )
    yield from opened.frames(numbers, size=size, skip_missing=True)
    for note in opened.notes:
      logging.warning("%s: %s", names.escaped(video.name), note)


def open_reader(
  video: videos.Video,
  reader: str = "auto",
  *,
  num_threads: int = 0,
  on_progress: Callable[[], None] = lambda: None,
) -> frames.Reader:
  """Opens a video in this process.

  Args:
    video: video file or folder of frames.
    reader: reader of video files. "auto" is "pyav", which decodes and holds no
      more than it must. "tfio" decodes whole files and may crash the process,
      so only `isolated_child` should request it. Folders of frames have one
      reader.
    num_threads: number of threads of the codec; 0 for one per core.
    on_progress: function called for each packet of a file that is read.

  Raises:
    DecodeError: the video cannot be opened.
    UsageError: the reader is unknown or not installed.
  """
  errors.require(
    reader in READERS,
    f"reader: {reader!r}; expected one of {', '.join(READERS)}",
  )
  is_folder = os.path.isdir(video.path)
  if is_folder or videos.split_archive(video.path)[1] is not None:
    return frame_folder_reader.FrameFolderReader(video)
  if reader == "tfio":
    from tf_ssl.video.decoding import tfio_reader  # Imports TensorFlow.

    return tfio_reader.TfioReader(video)
  return pyav_reader.PyavReader(
    video, num_threads=num_threads, on_progress=on_progress
  )


def numbers_to_iterate(
  times: np.ndarray, *, stride: int = 1, every_seconds: float | None = None
) -> Iterable[int]:
  """Selects frames at equal distances.

  Args:
    times: [T] ascending, seconds.
    stride: distance between frames, in frames, from frame 0.
    every_seconds: sampling interval in seconds, instead of `stride`: the first
      frame at or after each multiple of it, counted from frame 0. No frame is
      selected twice.

  Raises:
    UsageError: a distance is not above 0, or both are given.
  """
  if every_seconds is None:
    errors.require(stride >= 1, f"stride: {stride}; expected at least 1")
    return range(0, len(times), stride)
  errors.require(
    stride == 1 and every_seconds > 0,
    f"every_seconds: {every_seconds:g} with stride {stride}; expected"
    " seconds above 0 without a stride",
  )
  moments = np.floor((times - times[0]) / every_seconds + 1e-6)
  return np.flatnonzero(np.diff(moments, prepend=-1.0) > 0).tolist()
