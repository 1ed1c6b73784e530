"""What readers of videos give, and the one error that they raise."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class DecodeError(Exception):
  """A video, or some of its frames, cannot be decoded.

  One line that names the file and the reason. Whoever goes through many videos
  skips this one, counts it and tells `name` and `reason`.

  Attributes:
    name: of the video, as `videos.Video.name` has it.
    reason: in a few words.
  """

  def __init__(self, name: str, reason: str):
    self.name = name
    self.reason = " ".join(reason.split())
    super().__init__(f"{name}: {self.reason}")


class VideoInfo(NamedTuple):
  """What is known of a video before any frame is decoded.

  Attributes:
    num_frames: T, of the part that counts.
    fps: frames a second, on average.
    height: H, pixels, as shown: after the rotation that the file asks for.
    width: W, pixels, likewise.
    duration: seconds, from the first frame to the end of the last.
  """

  num_frames: int
  fps: float
  height: int
  width: int
  duration: float


class Frame(NamedTuple):
  """One decoded frame.

  Attributes:
    number: its place in presentation order, counted from 0 at the beginning of
      the part that counts.
    time: seconds after the beginning of the file, as a player shows it.
    image: [H, W, 3] uint8, RGB.
  """

  number: int
  time: float
  image: np.ndarray


class Frames(NamedTuple):
  """Some frames of one video, in the order in which they were asked for.

  Attributes:
    images: [n, H, W, 3] uint8, RGB.
    numbers: [n] int64, see `Frame`.
    times: [n] float64, seconds.
  """

  images: np.ndarray
  numbers: np.ndarray
  times: np.ndarray


def gather(name: str, wanted: Sequence[int], found: Iterator[Frame]) -> Frames:
  """Puts frames that come in ascending order into the order asked for.

  Args:
    name: of the video, for errors.
    wanted: [n] numbers of frames, in any order; a number may be repeated.
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
        f"frame {frame.number} has the size {_size(frame.image.shape)}, those "
        f"before it {_size(images.shape[1:])}; ask for one size at a time",
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


def check_numbers(name: str, numbers: Sequence[int], num_frames: int) -> None:
  """Checks that frames are there.

  Raises:
    DecodeError: some number is below 0, or not below `num_frames`.
  """
  wrong = [number for number in numbers if not 0 <= number < num_frames]
  if wrong:
    raise DecodeError(
      name,
      f"asked for frame {wrong[0]}; it has {num_frames} frames, numbered from "
      "0",
    )


def scaled_size(height: int, width: int, size: int | None) -> tuple[int, int]:
  """Returns the height and width that a frame comes out with.

  Args:
    height: pixels.
    width: pixels.
    size: the most that the shorter side may have; None for no limit. Frames
      are never enlarged, and keep their aspect ratio to the nearest pixel.
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
