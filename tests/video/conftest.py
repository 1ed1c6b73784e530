"""Fixtures of the video tests."""

import importlib.util
import os
import pathlib
from typing import NamedTuple

import av
import numpy as np
import pytest

from tf_ssl.video.decoding import ffmpeg4
from tf_ssl.video.source import videos


@pytest.fixture(scope="session")
def clips():
  """Module that writes small videos."""
  path = pathlib.Path(__file__).with_name("clips_reference.py")
  spec = importlib.util.spec_from_file_location("clips_reference", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture
def clip(clips, tmp_path):
  """Writes a small video and returns it: clip("a.mp4", count=50, ...)."""

  def write(name, **settings):
    return videos.Video(clips.write(tmp_path / name, **settings), name)

  return write


@pytest.fixture(scope="session")
def ffmpeg_4():
  """Skips tests if tensorflow-io has no FFmpeg 4; fails them in CI."""
  if not ffmpeg4.is_available():
    reason = "needs FFmpeg 4: run `python -m tools.setup_ffmpeg`"
    if os.environ.get("TF_SSL_REQUIRE_FFMPEG4") == "1":
      pytest.fail(reason)
    pytest.skip(reason)


class Square(NamedTuple):
  """A video of a red square that moves right over a static background.

  Attributes:
    video: the video.
    side: width and height of the frames, pixels.
    fps: frame rate, frames per second.
    count: number of frames.
  """

  video: videos.Video
  side: int = 128
  fps: int = 8
  count: int = 40

  @staticmethod
  def box(number):
    """Returns xmin, ymin, xmax, ymax of the square in a frame."""
    x = 10 + 2 * number
    return [x, 40, x + 32, 72]


@pytest.fixture(scope="session")
def square(tmp_path_factory):
  """A `Square`."""
  path = tmp_path_factory.mktemp("videos") / "square.mp4"
  film = Square(videos.Video(str(path), "square.mp4"))
  rng = np.random.default_rng(0)
  ground = rng.integers(90, 130, [film.side // 4, film.side // 4, 3])
  ground = np.kron(ground, np.ones([4, 4, 1])).astype(np.uint8)
  with av.open(str(path), "w") as output:
    stream = output.add_stream("libx264", rate=film.fps)
    stream.width = stream.height = film.side
    stream.options = {"crf": "15"}
    for number in range(film.count):
      image = ground.copy()
      x0, y0, x1, y1 = film.box(number)
      image[y0:y1, x0:x1] = (210, 40, 30)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))
  return film
