"""Frames, the interface of video readers, and the one error they raise."""

import abc
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class DecodeError(Exception):
  """A video, or some of its frames, cannot be decoded.

  The message is one line with file and reason. Code that processes many videos
  skips this one, counts it and reports `name` and `reason`.

  Attributes:
    name: name of the video, `videos.Video.name`.
    reason: short description of the problem.
  """

  def __init__(self, name: str, reason: str):
    self.name = name
    self.reason = " ".join(reason.split())
    super().__init__(f"{name}: {self.reason}")


class VideoInfo(NamedTuple):
  """Metadata of a video.

  Attributes:
    num_frames: number of frames in the part to use, T.
    fps: mean frame rate, frames per second.
    height: height of the frames after rotation metadata is applied, pixels.
    width: width of the frames after rotation metadata is applied, pixels.
    duration: time from the first frame to the end of the last, seconds.
  """

  num_frames: int
  fps: float
  height: int
  width: int
  duration: float


class Frame(NamedTuple):
  """One decoded frame.

  Attributes:
    number: index in presentation order, from 0 at the start of the part to use.
    time: presentation time from the start of the file, seconds.
    image: [H, W, 3] uint8, RGB.
  """

  number: int
  time: float
  image: np.ndarray


class Frames(NamedTuple):
  """Several frames of one video, in the order of the request.

  Attributes:
    images: [n, H, W, 3] uint8, RGB.
    numbers: [n] int64, frame numbers; see `Frame`.
    times: [n] float64, presentation times, seconds.
  """

  images: np.ndarray
  numbers: np.ndarray
  times: np.ndarray


class Reader(abc.ABC):
  """An open video, which is a context manager.

  Attributes:
    times: [T] float64, times of the frames of the part to use, seconds.
    num_decoded: number of frames decoded so far.
    notes: what the user should know about the video, one clause each: times
      that are made up, frames that are lost. Complete after the last frame.
  """

  times: np.ndarray
  num_decoded: int = 0
  notes: tuple[str, ...] = ()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  @abc.abstractmethod
  def close(self) -> None:
    """Closes the video."""

  @abc.abstractmethod
  def info(self) -> VideoInfo:
    """Returns number, rate and size of the frames; decodes one of them."""

  @abc.abstractmethod
  def frames(
    self,
    numbers: Iterable[int],
    *,
    size: int | None = None,
    skip_missing: bool = False,
  ) -> Iterator[Frame]:
    """Yields frames one at a time.

    Args:
      numbers: frame numbers within the part to use, ascending.
      size: maximum length of the shorter side, pixels; see `scaled_size`.
      skip_missing: whether to omit frames that cannot be decoded.

    Raises:
      DecodeError: a frame cannot be decoded; with `skip_missing`, none can.
    """


def gather(name: str, wanted: Sequence[int], found: Iterator[Frame]) -> Frames:
  """Puts frames that arrive in ascending order into the order of the request.

  Args:
    name: name of the video, for errors.
    wanted: [n] frame numbers in any order; a number may be repeated.
    found: each of these frames once.

  Raises:
    DecodeError: a frame is missing, or frames differ in size.
  """
  rows: dict[int, list[int]] = {}
  for row, number in enumerate(wanted):
    rows.setdefault(number, []).append(row)
  images, times = np.zeros([0, 0, 0, 3], np.uint8), np.zeros(len(wanted))
  for frame in found:
    if not images.size:
      images = np.empty([len(wanted), *frame.image.shape], np.uint8)
    if frame.image.shape != images.shape[1:]:
      raise DecodeError(
        name,
        f"frame {frame.number} is {_size(frame.image.shape)} px, earlier frames"
        f" are {_size(images.shape[1:])} px; request one size at a time",
      )
    for row in rows.pop(frame.number):
      images[row], times[row] = frame.image, frame.time
  if rows:
    raise missing(name, sorted(rows))
  return Frames(images, np.array(wanted, np.int64), times)


def missing(name: str, numbers: Sequence[int]) -> DecodeError:
  """Returns the error for frames that cannot be decoded."""
  listed = ", ".join(map(str, numbers[:5]))
  more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
  word = "frames" if len(numbers) > 1 else "frame"
  return DecodeError(name, f"{word} {listed}{more} cannot be decoded")


def lost(count: int, wanted: int) -> tuple[str, ...]:
  """Returns the note about frames that cannot be decoded; () if none.

  Args:
    count: number of these frames.
    wanted: number of frames requested.
  """
  return (f"{count} of {wanted} frames cannot be decoded",) if count else ()


def why(error: BaseException) -> str:
  """Returns the reason of an error of a library, without file names."""
  return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"


def check_numbers(name: str, numbers: Sequence[int], num_frames: int) -> None:
  """Checks that frame numbers are in range.

  Raises:
    DecodeError: a number is below 0, or not below `num_frames`.
  """
  wrong = [number for number in numbers if not 0 <= number < num_frames]
  if wrong:
    raise DecodeError(
      name, f"no frame {wrong[0]}; it has {num_frames} frames, from 0"
    )


def scaled_size(height: int, width: int, size: int | None) -> tuple[int, int]:
  """Returns height and width of a frame after scaling.

  Frames are never enlarged and keep their aspect ratio to the nearest pixel.

  Args:
    height: original height, pixels.
    width: original width, pixels.
    size: maximum length of the shorter side, pixels; None for no limit.
  """
  shorter = min(height, width)
  if size is None or shorter <= size:
    return height, width
  return (
    max(1, round(height * size / shorter)),
    max(1, round(width * size / shorter)),
  )


def _size(shape: Sequence[int]) -> str:
  return f"{shape[1]}x{shape[0]}"
