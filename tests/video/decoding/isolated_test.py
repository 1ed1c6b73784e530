"""Tests of tf_ssl.video.decoding.isolated with real crashes and hangs."""

import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.video.decoding import decode, isolated, isolated_child
from tf_ssl.video.source import videos


@pytest.fixture
def decoder():
  with isolated.Decoder() as made:
    yield made


def test_the_child_returns_the_frames_of_this_process(clip, decoder):
  video = clip("a.mp4")
  assert decoder.probe(video) == decode.probe(video)
  here = decode.read_frames(video, [40, 0, 7, 7], size=30)
  there = decoder.read_frames(video, [40, 0, 7, 7], size=30)
  for mine, its in zip(here, there, strict=True):
    np.testing.assert_array_equal(mine, its)
  iterated = list(decoder.iterate_frames(video, stride=3))
  expected = list(decode.iterate_frames(video, stride=3))
  assert [f.number for f in iterated] == [f.number for f in expected]
  assert [f.time for f in iterated] == [f.time for f in expected]
  for mine, its in zip(expected, iterated, strict=True):
    np.testing.assert_array_equal(mine.image, its.image)


def test_one_child_serves_videos_of_growing_size(clip, clips, decoder):
  small, large = clip("a.mp4"), clip("b.mp4", size=(320, 240))
  kept = []
  for video in (small, large, small, large):
    frames = list(decoder.iterate_frames(video))
    assert [clips.number_of(f.image) for f in frames] == list(range(50))
    kept.append(decoder.pid)
  assert len(set(kept)) == 1


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_crash_is_an_error_and_the_next_video_is_decoded(
  clip, clips, decoder, name
):
  first, second = clip("first.mp4", count=200), clip("second.mp4")
  with pytest.raises(decode.DecodeError, match=f"first.mp4: .*{name}"):
    for frame in decoder.iterate_frames(first):
      if frame.number == 3:
        os.kill(decoder.pid, getattr(signal, name))
  frames = decoder.read_frames(second, [0, 7, 40])
  assert [clips.number_of(image) for image in frames.images] == [0, 7, 40]


def test_a_child_killed_between_requests_is_replaced(clip, decoder):
  video = clip("a.mp4")
  decoder.probe(video)
  os.kill(decoder.pid, signal.SIGKILL)
  time.sleep(0.2)
  assert decoder.probe(video).num_frames == 50


def test_a_hang_is_an_error_and_the_next_video_is_decoded(clip):
  first, second = clip("first.mp4", count=200), clip("second.mp4")
  with isolated.Decoder(timeout=20.0) as decoder:
    decoder.probe(first)
    decoder._timeout = 0.5
    with pytest.raises(decode.DecodeError, match="first.mp4: .*0.5 s"):
      for frame in decoder.iterate_frames(first):
        if frame.number == 3:
          os.kill(decoder.pid, signal.SIGSTOP)
    decoder._timeout = 20.0
    assert decoder.probe(second).num_frames == 50


def test_errors_of_the_child_are_those_of_decode(clip, decoder, tmp_path):
  (tmp_path / "text.mp4").write_text("Hello.\n" * 100)
  text = videos.Video(str(tmp_path / "text.mp4"), "text.mp4")
  with pytest.raises(decode.DecodeError, match="text.mp4: "):
    decoder.read_frames(text, [0])
  video = clip("a.mp4")
  pid = decoder.pid
  with pytest.raises(decode.DecodeError, match="99; .* 50 frames"):
    decoder.read_frames(video, [99])
  with pytest.raises(errors.UsageError, match="stride: 0"):
    next(decoder.iterate_frames(video, stride=0))
  assert decoder.read_frames(video, [1]).images.shape == (1, 48, 64, 3)
  assert decoder.pid == pid  # An error does not end the child.


def test_an_abandoned_iteration_does_not_disturb_the_next_request(
  clip, clips, decoder
):
  video = clip("a.mp4", count=300)
  for _ in range(3):
    abandoned = decoder.iterate_frames(video)
    next(abandoned)
    images = decoder.read_frames(video, [5, 299]).images
    assert [clips.number_of(image) for image in images] == [5, 299]
    with pytest.raises(RuntimeError, match="a.mp4: .*another request"):
      next(abandoned)
  del abandoned
  gc.collect()
  assert decoder.probe(video).num_frames == 300


def test_the_child_has_no_tensorflow_and_ends_with_its_parent(clip, tmp_path):
  code = (
    "import os, sys; from tf_ssl.video.decoding import isolated;"
    "from tf_ssl.video.source import videos;"
    "decoder = isolated.Decoder();"
    f"decoder.probe(videos.Video({clip('a.mp4').path!r}, 'a'));"
    "maps = open(f'/proc/{decoder.pid}/maps').read();"
    "print(decoder.pid, 'libtensorflow' in maps, flush=True);"
    "os._exit(0)"  # Closes nothing.
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  pid, has_tensorflow = done.stdout.split()
  assert has_tensorflow == "False"
  for _ in range(100):
    if not pathlib.Path(f"/proc/{pid}").exists():
      return
    status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    if ") Z " in status:
      return
    time.sleep(0.1)
  pytest.fail(f"process {pid} outlives its parent")


def test_bad_videos_are_named_and_do_not_stop_a_loop(clip, decoder, tmp_path):
  for name in ("a.mp4", "z.mp4"):
    clip(name)
  cut = pathlib.Path(clip("cut.mp4").path)
  cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 6 // 10])
  (tmp_path / "empty.mp4").touch()
  (tmp_path / "text.mp4").write_text("Hello.\n" * 100)
  skipped, count = {}, 0
  for video in videos.find_videos(str(tmp_path)):
    try:
      count += sum(1 for _ in decoder.iterate_frames(video))
    except decode.DecodeError as error:
      skipped[error.name] = error.reason
  assert count == 100
  assert sorted(skipped) == ["cut.mp4", "empty.mp4", "text.mp4"]
  assert skipped["empty.mp4"] == "empty file"


def test_frame_folders_are_decoded_too(clips, decoder, tmp_path):
  import cv2

  for number in range(3):
    cv2.imwrite(str(tmp_path / f"{number}.png"), clips.picture(number))
  video = videos.Video(str(tmp_path), "folder")
  frames = decoder.read_frames(video, [2, 1])
  assert [clips.number_of(image) for image in frames.images] == [2, 1]


def test_the_notes_of_a_film_come_with_its_last_frame(clip, decoder):
  bare, plain = clip("a.h264", count=20), clip("b.mp4", count=20)
  shown = decoder.iterate_frames(bare)
  next(shown)
  assert decoder.notes == ()
  assert sum(1 for _ in shown) == 19
  assert len(decoder.notes) == 1 and "a guess" in decoder.notes[0]
  assert sum(1 for _ in decoder.iterate_frames(plain)) == 20
  assert decoder.notes == ()


class _Answers:
  def __init__(self):
    self.lines = []
    self.write = self.lines.append

  def flush(self):
    pass


@pytest.mark.parametrize("error", [MemoryError(), TypeError("no buffer")])
def test_whatever_decoding_raises_is_the_error_of_one_film(monkeypatch, error):
  def fail(*args, **kwargs):
    raise error

  monkeypatch.setattr(isolated_child.decode, "open_reader", fail)
  answers = _Answers()
  request = {
    "video": videos.Video("/a.mp4", "a.mp4"),
    "do": "probe",
    "reader": "auto",
    "num_threads": 0,
  }
  isolated_child._Child(None, [], answers).serve(request)
  (answer,) = map(json.loads, answers.lines)
  assert (answer["error"], answer["name"]) == ("decode", "a.mp4")
  assert type(error).__name__ in answer["text"]
  raised = isolated._error(answer)
  assert isinstance(raised, decode.DecodeError) and raised.name == "a.mp4"


def test_a_child_that_reads_without_a_frame_does_not_count_as_hung(monkeypatch):
  monkeypatch.setattr(isolated_child, "_BEAT_SECONDS", 0.0)
  answers = _Answers()
  child = isolated_child._Child(None, [], answers)
  child._show_progress()
  assert json.loads(answers.lines[0]) == {"busy": True}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
