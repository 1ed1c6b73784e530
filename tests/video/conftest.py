"""What the tests of videos share."""

import importlib.util
import os
import pathlib

import pytest

from tf_ssl.video import ffmpeg4, videos


@pytest.fixture(scope="session")
def clips():
  """The module that writes small videos."""
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
  """Skips where tensorflow-io has no FFmpeg 4; in CI that is a failure."""
  if not ffmpeg4.is_available():
    reason = "needs FFmpeg 4: run `python -m tools.setup_ffmpeg`"
    if os.environ.get("TF_SSL_REQUIRE_FFMPEG4") == "1":
      pytest.fail(reason)
    pytest.skip(reason)
