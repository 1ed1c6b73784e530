"""Reads videos stored as folders of numbered images, also inside a zip."""

import io
import os
import zipfile
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from PIL import Image

from tf_ssl.video.decoding import frames, pyav_reader
from tf_ssl.video.source import frame_names, videos

# A damaged or hostile file may claim any size; frames are smaller than this.
_MAX_BYTES = 256 * 2**20
_MAX_PIXELS = 2**27


class FrameFolderReader(frames.Reader):
  """A folder of frames, opened as a video.

  Frame n is the nth in the order of the file numbers; gaps in them do not
  count.
  """

  def __init__(self, video: videos.Video):
    """Lists the folder.

    Args:
      video: folder of frames, or `archive.zip!folder`.

    Raises:
      DecodeError: the folder has no numbered images or cannot be read.
    """
    self._video = video
    self._archive = None
    self._gaps: tuple[str, ...] = ()
    self._folder = video.path
    archive, inside = videos.split_archive(video.path)
    try:
      if inside is None:
        self._files = frame_names.in_order(os.listdir(video.path))
      else:
        self._folder = inside
        self._archive = zipfile.ZipFile(archive)
        folders = frame_names.by_folder(self._archive.namelist())
        self._files = folders.get(inside, [])
    except Exception as error:  # The file may hold anything.
      raise frames.DecodeError(
        video.name, f"its files cannot be listed ({error})"
      ) from error
    if not self._files:
      self.close()
      raise frames.DecodeError(video.name, "it has no numbered images")
    times = np.arange(len(self._files)) / video.folder_fps
    self._part, self.times = pyav_reader.part(video, times)
    count = frame_names.gaps(self._files)
    if count:
      self._gaps = (
        f"its file numbers have gaps ({count}): times do not count them",
      )

  def close(self) -> None:
    if self._archive is not None:
      self._archive.close()

  def info(self) -> frames.VideoInfo:
    image = next(self.frames(range(len(self.times)), skip_missing=True)).image
    count, fps = len(self.times), self._video.folder_fps
    return frames.VideoInfo(count, fps, *image.shape[:2], count / fps)

  def frames(
    self,
    numbers: Iterable[int],
    *,
    size: int | None = None,
    skip_missing: bool = False,
  ) -> Iterator[frames.Frame]:
    numbers = list(numbers)
    count = 0
    for number in numbers:
      file = self._files[self._part[number]]
      image = self._image(file)
      if image is not None:
        count += 1
        height, width = frames.scaled_size(*image.shape[:2], size)
        if height < image.shape[0]:
          image = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA
          )
        yield frames.Frame(number, float(self.times[number]), image)
      elif not skip_missing:
        raise frames.DecodeError(
          self._video.name, f"frame {number}, {file!r}, cannot be decoded"
        )
    self.notes = self._gaps + frames.lost(len(numbers) - count, len(numbers))
    if skip_missing and not count:
      raise frames.DecodeError(self._video.name, "no frame can be decoded")

  def _image(self, file: str) -> np.ndarray | None:
    encoded = self._read(file)
    if not encoded:
      return None
    self.num_decoded += 1
    try:
      with Image.open(io.BytesIO(encoded)) as header:  # Allocates no pixels.
        if header.width * header.height > _MAX_PIXELS:
          return None
      image = cv2.imdecode(
        np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB
      )
    except Exception:  # The file may hold anything.
      return None
    if image is None:
      return None
    # OpenCV fills the missing rows of a truncated JPEG with gray.
    is_jpeg = encoded.startswith(b"\xff\xd8")
    return None if is_jpeg and b"\xff\xd9" not in encoded[-4096:] else image

  def _read(self, file: str) -> bytes | None:
    try:
      if self._archive is None:
        path = os.path.join(self._folder, file)
        if not os.path.isfile(path):  # Opening a pipe would wait forever.
          return None
        with open(path, "rb") as stream:
          return stream.read(_MAX_BYTES)
      path = f"{self._folder}/{file}" if self._folder else file
      with self._archive.open(path) as stream:
        return stream.read(_MAX_BYTES)
    except Exception:  # Damaged, encrypted, or of an unknown compression.
      return None
