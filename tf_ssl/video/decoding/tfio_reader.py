"""Reads video files with tensorflow-io, inside tf.data.

tensorflow-io decodes entire files into memory, cannot seek, and has two bugs:
on damaged files it returns one frame repeatedly, and if the width is not a
multiple of 16, FFmpeg's vector code writes past the end of its buffer, which
crashed the process (see `ffmpeg4.use_vector_instructions`). Its frames are
therefore checked against the file's packets and for damage found by PyAV, and
`decode` and `isolated` only run it in a child process.
"""

import os
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import compat
from tf_ssl.video.decoding import ffmpeg4, frames, pyav_reader
from tf_ssl.video.source import videos

MAX_BYTES = 4 * 2**30  # Size limit of all frames of a file.
# Mean absolute difference, in levels of 255, up to which two readers agree.
_SAME = 2.0


def decode_file(path: tf.Tensor) -> tf.Tensor:
  """Decodes a file, in a graph or eagerly.

  Args:
    path: [] string, path of a file; its width is a multiple of 16, or vector
      instructions are off.

  Returns:
    [T, H, W, 3] uint8, RGB, without the rotation of the file's metadata.

  Raises:
    UsageError: tensorflow-io or FFmpeg 4 is missing.
  """
  ffmpeg4.load()
  try:
    import tensorflow_io
  except ImportError as error:
    raise errors.UsageError(
      f"reader 'tfio': tensorflow-io does not load ({error}; "
      f"{compat.how_to_get('tensorflow-io')}); use reader 'pyav'"
    ) from error
  contents = tf.io.read_file(path)
  video = tensorflow_io.experimental.ffmpeg.decode_video(contents, 0)
  return tf.ensure_shape(video, [None, None, None, 3])


class TfioReader(frames.Reader):
  """A video file that is decoded completely when frames are requested."""

  def __init__(self, video: videos.Video):
    """Reads the index of the file's packets with PyAV.

    Args:
      video: video file.

    Raises:
      DecodeError: the file is not a video, too long to decode completely, or
        has a cover picture before the film.
      UsageError: FFmpeg 4 is missing.
    """
    ffmpeg4.load()
    self._video = video
    self._pyav = pyav_reader.PyavReader(video)
    self.times = self._pyav.times
    if not self._pyav.is_first_stream:
      self._pyav.close()
      raise frames.DecodeError(
        video.name,
        "tensorflow-io reads the first video stream, which is a cover picture;"
        " use reader 'pyav'",
      )
    info = self._pyav.info()
    num_bytes = len(self._pyav.index.pts) * info.height * info.width * 3
    if num_bytes > MAX_BYTES:
      self._pyav.close()
      raise frames.DecodeError(
        video.name,
        f"tensorflow-io holds all of its frames in memory,"
        f" {num_bytes / 2**30:.1f} GiB; expected at most"
        f" {MAX_BYTES / 2**30:g} GiB; use reader 'pyav'",
      )

  @property
  def notes(self) -> tuple[str, ...]:
    return self._pyav.notes

  def close(self) -> None:
    self._pyav.close()

  def info(self) -> frames.VideoInfo:
    return self._pyav.info()

  def frames(
    self,
    numbers: Iterable[int],
    *,
    size: int | None = None,
    skip_missing: bool = False,
  ) -> Iterator[frames.Frame]:
    # `skip_missing` is ignored: a file that tensorflow-io does not decode
    # completely is not used at all.
    numbers = list(numbers)
    # tensorflow-io reports no damage and patches frames from others.
    self._pyav.check(numbers)
    images = self._decode()
    first = self._pyav.first
    repeated = [
      number
      for number in numbers
      if first + number > 0
      and (
        np.array_equal(images[first + number], images[0])
        or np.array_equal(images[first + number], images[first + number - 1])
      )
    ]
    quarters = self._pyav.rotation // 90
    for frame in self._pyav.frames(repeated):
      image = np.rot90(images[first + frame.number], quarters)
      difference = np.abs(image.astype(np.int16) - frame.image).mean()
      if difference >= _SAME:
        raise frames.DecodeError(
          self._video.name,
          f"tensorflow-io repeats another frame as frame {frame.number}",
        )
    for number in numbers:
      image = images[first + number]
      height, width = frames.scaled_size(*image.shape[:2], size)
      if height < image.shape[0]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
      image = np.ascontiguousarray(np.rot90(image, quarters))
      yield frames.Frame(number, float(self.times[number]), image)

  def _decode(self) -> np.ndarray:
    path = os.path.abspath(self._video.path)
    ffmpeg4.use_vector_instructions(self._pyav.coded_width % 16 == 0)
    dataset = tf.data.Dataset.from_tensors(os.fsencode(path)).map(decode_file)
    try:
      images = next(iter(dataset)).numpy()
    except errors.UsageError:  # It is not installed.
      raise
    except Exception as error:  # The file may hold anything.
      raise frames.DecodeError(
        self._video.name, f"tensorflow-io cannot decode it ({error})"
      ) from error
    self.num_decoded += len(images)
    expected = len(self._pyav.index.pts)
    if len(images) != expected:
      raise frames.DecodeError(
        self._video.name,
        f"tensorflow-io returns {len(images)} of {expected} frames",
      )
    return images
