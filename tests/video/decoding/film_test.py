"""Tests of tf_ssl.video.decoding.film."""

import pathlib
import resource
import struct
import sys

import pytest

from tf_ssl.video.decoding import film, frames, pyav_reader
from tf_ssl.video.source import videos


def test_the_film_is_opened_and_not_its_cover(clips, tmp_path):
  path = clips.write_after_a_cover(tmp_path / "a.mkv")
  container, stream = film.open_film(videos.Video(path, "a.mkv"))
  with container:
    assert (stream.index, stream.width, stream.height) == (1, 64, 48)


def test_a_cover_alone_is_a_film(clip):
  video = clip("a.avi", codec="mjpeg", pixels="yuvj420p", count=3)
  container, stream = film.open_film(video)
  with container:
    assert stream.codec_context.name == "mjpeg"


def test_threads_are_those_requested_and_share_no_frame(clip):
  container, stream = film.open_film(clip("a.mp4", count=3), num_threads=3)
  with container:
    assert stream.codec_context.thread_count == 3
    assert stream.thread_type.name == "FRAME"


@pytest.mark.parametrize(
  "error",
  [
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    MemoryError(),
    OverflowError("too large"),
    KeyError("codec"),
  ],
  ids=lambda error: type(error).__name__,
)
def test_whatever_opening_raises_names_the_film(clip, monkeypatch, error):
  video = clip("a.mp4", count=3)

  def fail(*args, **kwargs):
    raise error

  monkeypatch.setattr(film.av, "open", fail)
  with pytest.raises(frames.DecodeError, match="a.mp4: .*opened") as caught:
    film.open_film(video)
  assert caught.value.__cause__ is error


def _with_size(path, marker, offset, layout, sides):
  content = bytearray(path.read_bytes())
  at = content.find(marker)
  while at >= 0:
    struct.pack_into(layout, content, at + offset, *sides)
    at = content.find(marker, at + 1)
  path.write_bytes(content)


@pytest.mark.parametrize(
  "name, codec, pixels, place",
  [
    ("a.gif", "gif", "rgb8", (b"GIF8", 6, "<HH", (65535, 65535))),
    ("a.avi", "rawvideo", "yuv420p", (b"strf", 12, "<ii", (65500, 65500))),
    ("a.avi", "mjpeg", "yuvj420p", (b"\xff\xc0", 5, ">HH", (65500, 65500))),
    ("a.webm", "libvpx", "yuv420p", (b"\x9d\x01\x2a", 3, "<HH", (16383,) * 2)),
  ],
)
def test_enormous_frames_are_refused_before_they_are_allocated(
  clip, name, codec, pixels, place
):
  video = clip(name, codec=codec, pixels=pixels, count=3)
  _with_size(pathlib.Path(video.path), *place)
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  with pytest.raises(frames.DecodeError, match=f"{name}: "):
    with pyav_reader.PyavReader(video) as reader:
      list(reader.frames(range(3), skip_missing=True))
  grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
  assert grown < 100_000, f"{grown} KiB"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
