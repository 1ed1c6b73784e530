"""Which reader a video is read by."""

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from tf_ssl import errors
from tf_ssl.video.decoding import frame_folder_reader, frames, pyav_reader
from tf_ssl.video.source import videos

READERS = ("auto", "pyav", "tfio")


class Reader(Protocol):
  """An open video, a context manager.

  Attributes:
    times: [T] float64, seconds, of the frames of the part that counts.
    num_decoded: how many frames were decoded so far.
  """

  times: np.ndarray
  num_decoded: int

  def info(self) -> frames.VideoInfo:
    """See `decode.probe`."""

  def frames(
    self,
    numbers: Iterable[int],
    *,
    size: int | None = None,
    skip_missing: bool = False,
  ) -> Iterator[frames.Frame]:
    """See `pyav_reader.PyavReader.frames`."""

  def __enter__(self) -> "Reader": ...

  def __exit__(self, *unused) -> None: ...


def open_reader(
  video: videos.Video, reader: str = "auto", *, num_threads: int = 0
) -> Reader:
  """Opens a video in this process.

  Args:
    video: a file or a folder of frames.
    reader: for files. "auto" is "pyav": it decodes what it must and holds only
      that. "tfio" decodes whole files and may take the process down; only
      `isolated` should ask for it. Folders of frames have one reader.
    num_threads: of the codec; 0: as many as there are cores.

  Raises:
    DecodeError: the video cannot be opened.
    UsageError: no such reader, or it is not installed.
  """
  if reader not in READERS:
    raise errors.UsageError(
      f"reader: {reader!r}; expected one of {', '.join(READERS)}"
    )
  is_folder = os.path.isdir(video.path)
  if is_folder or videos.split_archive(video.path)[1] is not None:
    return frame_folder_reader.FrameFolderReader(video)
  if reader == "tfio":
    from tf_ssl.video.decoding import tfio_reader  # brings TensorFlow

    return tfio_reader.TfioReader(video)
  return pyav_reader.PyavReader(video, num_threads=num_threads)


def numbers_to_iterate(
  times: np.ndarray, *, stride: int = 1, every_seconds: float | None = None
) -> Iterable[int]:
  """Chooses frames at equal distances.

  Args:
    times: [T] ascending, seconds.
    stride: every how many frames, from frame 0.
    every_seconds: instead of `stride`: the first frame at or after each of
      these moments, counted from frame 0; none twice.

  Raises:
    UsageError: a distance is not above 0, or both are given.
  """
  if every_seconds is None:
    if stride < 1:
      raise errors.UsageError(f"stride: {stride}; expected at least 1")
    return range(0, len(times), stride)
  if stride != 1 or not every_seconds > 0:
    raise errors.UsageError(
      f"every_seconds: {every_seconds:g} with stride {stride}; expected "
      "seconds above 0, and no stride beside them"
    )
  moments = np.floor((times - times[0]) / every_seconds + 1e-6)
  return np.flatnonzero(np.diff(moments, prepend=-1.0) > 0).tolist()
