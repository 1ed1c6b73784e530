"""Frames of a video: the one way in, whatever the video and its reader.

A native library that decodes untrusted files may crash. Training therefore
decodes through `isolated.Decoder`, which has the same methods; the functions
here decode in this process, but for the tensorflow-io reader, which always
runs in a process of its own.
"""

from collections.abc import Iterator, Sequence

from tf_ssl.video.decoding import frames as frames_lib
from tf_ssl.video.decoding import isolated, readers
from tf_ssl.video.source import videos

DecodeError = frames_lib.DecodeError
Frame = frames_lib.Frame
Frames = frames_lib.Frames
VideoInfo = frames_lib.VideoInfo


def probe(video: videos.Video) -> VideoInfo:
  """Says how many frames a video has, how fast and how large they are.

  The number comes from the file's packets, of which only the first frame is
  decoded; a frame that turns out to be damaged is counted.

  Raises:
    DecodeError: it is no video, or not one frame can be decoded.
  """
  with readers.open_reader(video) as opened:
    return opened.info()


def read_frames(
  video: videos.Video,
  frames: Sequence[int],
  *,
  reader: str = "auto",
  size: int | None = None,
) -> Frames:
  """Reads frames by their numbers; holds only these.

  Frame n is the nth in presentation order, from 0 at the beginning of the part
  that counts. A frame that cannot be decoded is an error, and never another
  frame in its place. The rotation that a file asks for is applied.

  Args:
    video: a file or a folder of frames.
    frames: [n] numbers, in any order; one may stand several times.
    reader: "auto" (PyAV for files), "pyav" or "tfio" (tensorflow-io; starts a
      process with TensorFlow for this call: keep an `isolated.Decoder` for
      more than one). Both give the same frames.
    size: the most pixels of the shorter side, with which frames come out
      smaller; None leaves them as they are.

  Returns:
    The frames, in the order of `frames`.

  Raises:
    DecodeError: the video or one of the frames cannot be decoded, or there is
      no frame of such a number.
    UsageError: no such reader, or it is not installed.
  """
  if reader == "tfio":
    with isolated.Decoder() as decoder:
      return decoder.read_frames(video, frames, reader=reader, size=size)
  with readers.open_reader(video, reader) as opened:
    frames_lib.check_numbers(video.name, frames, len(opened.times))
    found = opened.frames(sorted(set(frames)), size=size)
    return frames_lib.gather(video.name, frames, found)


def iterate_frames(
  video: videos.Video,
  *,
  stride: int = 1,
  every_seconds: float | None = None,
  size: int | None = None,
  reader: str = "auto",
) -> Iterator[Frame]:
  """Yields frames from the first to the last, holding one at a time.

  A frame that cannot be decoded is left out, which its neighbors' numbers
  show.

  Args:
    video: a file or a folder of frames.
    stride: every how many frames, from frame 0.
    every_seconds: instead of `stride`: the first frame at or after each of
      these moments, counted from frame 0.
    size: see `read_frames`.
    reader: see `read_frames`.

  Yields:
    Tuples (number, time, image); see `Frame`.

  Raises:
    DecodeError: the video, or all of these frames, cannot be decoded.
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
  with readers.open_reader(video, reader) as opened:
    numbers = readers.numbers_to_iterate(
      opened.times, stride=stride, every_seconds=every_seconds
    )
    yield from opened.frames(numbers, size=size, skip_missing=True)
