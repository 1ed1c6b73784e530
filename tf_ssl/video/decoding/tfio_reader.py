"""Reads video files with tensorflow-io, inside tf.data.

tensorflow-io decodes a whole file into memory, knows no seeking, and has two
faults: on damaged files it hands back a frame again and again, and where the
width is no multiple of 16, FFmpeg's vector code writes past the end of its
buffer, which took the process down (see `ffmpeg4.use_vector_instructions`). So
what it gives is checked against the file's packets and for frames that PyAV
finds damaged, and `decode` and `isolated` only let it run in a process of its
own.
"""

import os
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.video.decoding import ffmpeg4, frames, pyav_reader
from tf_ssl.video.source import videos

MAX_BYTES = 4 * 2**30  # of all frames of a file
# Mean difference of color, in levels, up to which two readers agree.
_SAME = 2.0


def decode_file(path: tf.Tensor) -> tf.Tensor:
  """Decodes a file, in a graph or eagerly; for widths of whole 16 pixels.

  Args:
    path: [] string.

  Returns:
    [T, H, W, 3] uint8, RGB; not rotated as the file may ask for.

  Raises:
    UsageError: tensorflow-io or FFmpeg 4 is missing.
  """
  ffmpeg4.load()
  try:
    import tensorflow_io
  except ImportError as error:
    raise errors.UsageError(
      f"reader 'tfio': tensorflow-io does not load ({error}); install "
      "tensorflow-io 0.36, or take reader 'pyav'"
    ) from error
  contents = tf.io.read_file(path)
  video = tensorflow_io.experimental.ffmpeg.decode_video(contents, 0)
  return tf.ensure_shape(video, [None, None, None, 3])


class TfioReader:
  """One video file, decoded as a whole when frames are first asked for.

  Attributes:
    times: [T] float64, seconds, of the frames of the part that counts.
    num_decoded: how many frames were decoded so far.
  """

  def __init__(self, video: videos.Video):
    """Reads the index of the file's packets, by PyAV.

    Args:
      video: a file.

    Raises:
      DecodeError: it is no video, or too long to decode as a whole.
      UsageError: FFmpeg 4 is missing.
    """
    ffmpeg4.load()
    self._video = video
    self._pyav = pyav_reader.PyavReader(video)
    self.times = self._pyav.times
    self.num_decoded = 0
    info = self._pyav.info()
    num_bytes = len(self._pyav.index.pts) * info.height * info.width * 3
    if num_bytes > MAX_BYTES:
      self._pyav.close()
      raise frames.DecodeError(
        video.name,
        f"its frames take {num_bytes / 2**30:.1f} GiB, and tensorflow-io would "
        f"hold all of them; at most {MAX_BYTES / 2**30:g} GiB, or reader "
        "'pyav'",
      )

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._pyav.close()

  def info(self) -> frames.VideoInfo:
    """See `decode.probe`."""
    return self._pyav.info()

  def frames(
    self,
    numbers: Iterable[int],
    *,
    size: int | None = None,
    skip_missing: bool = False,
  ) -> Iterator[frames.Frame]:
    """Yields frames; see `pyav_reader.PyavReader.frames`.

    Args:
      numbers: ascending, within the part that counts.
      size: the most pixels of the shorter side.
      skip_missing: without effect: a file that tensorflow-io does not decode
        as a whole is not used at all.

    Raises:
      DecodeError: it does not give every frame of the file, or not the right
        ones.
    """
    numbers = list(numbers)
    # tensorflow-io says nothing of faults, and patches frames from others.
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
    dataset = tf.data.Dataset.from_tensors(path).map(decode_file)
    try:
      images = next(iter(dataset)).numpy()
    except tf.errors.OpError as error:
      raise frames.DecodeError(
        self._video.name, f"tensorflow-io cannot decode it ({error.message})"
      ) from error
    self.num_decoded += len(images)
    expected = len(self._pyav.index.pts)
    if len(images) != expected:
      raise frames.DecodeError(
        self._video.name,
        f"tensorflow-io gives {len(images)} frames of {expected}",
      )
    return images
