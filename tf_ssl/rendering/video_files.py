"""A rendered video as files: an MP4, and its tracks as CSV.

The only module that imports PyAV, and only once a video is written.
"""

import csv
import fractions
import io
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from tf_ssl.rendering import categories, scripts, videos

COLUMNS = (
  "frame",
  "track",
  "category",
  "xmin",
  "ymin",
  "xmax",
  "ymax",
  "visible_fraction",
)
# An object that shows fewer pixels has no row.
MIN_VISIBLE_PIXELS = 8
# libx264 first, at a quality that is hard to tell from the rendering.
_ENCODERS = (
  ("libx264", {"crf": "14", "preset": "veryfast"}),
  ("mpeg4", {"qscale": "2", "flags": "+qscale", "global_quality": "236"}),
)


def video_name(number: int) -> str:
  """Name of the file of a video."""
  return f"{number:06d}.mp4"


def boxes_name(number: int) -> str:
  """Name of the file of a video's tracks."""
  return f"boxes/{number:06d}.csv"


def write(
  folder: pathlib.Path,
  number: int,
  *,
  seed: int,
  index: int,
  num_frames: int,
  image_size: tuple[int, int],
  fps: float,
) -> Iterator[None]:
  """Renders a video into its two files.

  Args:
    folder: where they go; `boxes` is there.
    number: of the video, for its name.
    seed: of the world.
    index: of the video in that world.
    num_frames: how many.
    image_size: H and W, both even.
    fps: frames a second.

  Yields:
    Once for every frame, for a progress bar.

  Raises:
    OSError: if a file cannot be written.
  """
  script = scripts.random_script(seed, index)
  names = [categories.CATEGORIES[actor.category] for actor in script.actors]
  rows = []

  def images():
    size = videos.size_of(image_size)
    shown = videos.frames(script, num_frames, seed, size, fps)
    for time, frame in enumerate(shown):
      rows.extend(rows_of(time, frame, names))
      yield frame.image

  movie = io.BytesIO()
  yield from encode(movie, images(), fps)
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(COLUMNS)
  writer.writerows(rows)
  folder = pathlib.Path(folder)
  (folder / video_name(number)).write_bytes(movie.getvalue())
  (folder / boxes_name(number)).write_text(text.getvalue())


def rows_of(
  time: int, frame: videos.Frame, names: Sequence[str]
) -> Iterator[tuple]:
  """The rows of one frame, of `COLUMNS`.

  Args:
    time: number of the frame.
    frame: what it shows.
    names: category of each object; tracks count from 1, as in the masks.
  """
  for track, name in enumerate(names, start=1):
    if (frame.mask == track).sum() >= MIN_VISIBLE_PIXELS:
      box = frame.boxes[track - 1].tolist()
      fraction = frame.visible_fraction[track - 1]
      yield time, track, name, *box, f"{fraction:.4f}"


def encode(file, images: Iterable, fps: float) -> Iterator[None]:
  """Writes images as an MP4.

  Args:
    file: what to write to, binary.
    images: [H, W, 3] uint8 each, H and W even.
    fps: frames a second.

  Yields:
    Once for every image.
  """
  import av  # Takes a while, and only this function needs it.

  name, options = _encoder(av)
  with av.open(file, "w", format="mp4") as container:
    stream = None
    for image in images:
      if stream is None:
        rate = fractions.Fraction(fps).limit_denominator(1000)
        stream = container.add_stream(name, rate=rate, options=options)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1  # The bytes would depend on their number.
      frame = av.VideoFrame.from_ndarray(image, format="rgb24")
      container.mux(stream.encode(frame))
      yield
    container.mux(stream.encode())


def _encoder(av):
  for name, options in _ENCODERS:
    if name in av.codecs_available:
      return name, options
  raise RuntimeError(
    "PyAV has neither libx264 nor mpeg4; expected one of them: install another "
    "build of av."
  )
