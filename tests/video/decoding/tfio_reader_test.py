"""Compares both readers on real files; tensorflow-io runs in a child."""

import subprocess
import sys

import numpy as np
import pytest

from tf_ssl.video.decoding import decode, isolated
from tf_ssl.video.source import videos

pytestmark = pytest.mark.slow

# Files that only one reader can read, with the reason; currently none.
_ONE_READER: dict[str, str] = {}


@pytest.fixture(scope="module")
def decoder(ffmpeg_4):
  """One process for all tests, since starting TensorFlow takes seconds."""
  with isolated.Decoder(timeout=200.0) as made:
    yield made


def _line(name, pyav, tfio, differences):
  return f"{name:60} {pyav:>20} {tfio:>20} {differences}"


def test_both_readers_agree_on_every_real_file(shared_data, decoder, capsys):
  found = videos.find_videos(str(shared_data / "videos"))
  assert len(found) > 80
  table, wrong, one = [], [], {}
  for video in found:
    info = decode.probe(video)
    count = info.num_frames
    numbers = sorted({0, 1, count // 3, count // 2, count - 2, count - 1})
    size = f"{count} {info.width}x{info.height}"
    pyav = decode.read_frames(video, numbers, reader="pyav")
    try:
      tfio = decoder.read_frames(video, numbers, reader="tfio")
    except decode.DecodeError as error:
      one[video.name] = error.reason
      table.append(_line(video.name, size, "-", error.reason))
      continue
    same_shape = pyav.images.shape == tfio.images.shape
    worst = np.inf
    if same_shape:
      difference = pyav.images.astype(np.int16) - tfio.images
      worst = np.abs(difference).mean(axis=(1, 2, 3)).max()
    # The reader itself compares the number of frames.
    height, width = tfio.images.shape[1:3]
    there = f"{count} {width}x{height}"
    table.append(_line(video.name, size, there, f"{worst:.2f}"))
    # The two FFmpeg versions convert color differently: at most 2.28 levels.
    if not worst < 2.5 or pyav.numbers.tolist() != tfio.numbers.tolist():
      wrong.append(table[-1])
  with capsys.disabled():
    print()
    print(_line("file", "pyav", "tfio", "mean difference (levels), worst"))
    print("\n".join(table))
  assert not wrong, "\n".join(wrong)
  assert set(one) == set(_ONE_READER), one


_KINDS = {
  "plain.mp4": {},
  "variable_rate.mp4": {"pts": [i * 40 + i // 3 * 100 for i in range(50)]},
  "odd_size.avi": {"codec": "mjpeg", "pixels": "yuvj444p", "size": (63, 47)},
  "odd_size.mp4": {"pixels": "yuv444p", "size": (63, 47)},
  "audio.mp4": {"audio": True},
  "late.mkv": {"pts": [5000 + 40 * i for i in range(50)]},
  "one_a_second.asf": {"codec": "msmpeg4", "fps": 1},
  "reordered.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
  "h264.avi": {"codec": "libx264", "options": {"bf": "2"}},
  "h264.asf": {"codec": "libx264", "options": {"bf": "2"}},
  "rotated.mp4": {"rotation": 90},
  "no_keyframes.mp4": {"options": {"x264-params": "intra-refresh=1"}},
}


@pytest.mark.parametrize("name", _KINDS)
def test_both_readers_agree_on_every_kind_of_file(clip, decoder, name):
  video = clip(name, **_KINDS[name])
  pyav = decode.read_frames(video, [0, 7, 40], reader="pyav")
  tfio = decoder.read_frames(video, [0, 7, 40], reader="tfio")
  assert pyav.images.shape == tfio.images.shape
  difference = np.abs(pyav.images.astype(np.int16) - tfio.images)
  assert difference.mean(axis=(1, 2, 3)).max() < 2
  np.testing.assert_array_equal(pyav.times, tfio.times)


def test_parts_sizes_and_iteration_are_the_same(clip, clips, decoder):
  video = clip("a.mp4", size=(160, 96))._replace(start=0.4, end=0.8)
  pyav = list(decode.iterate_frames(video, stride=4, size=48))
  tfio = list(decoder.iterate_frames(video, stride=4, size=48, reader="tfio"))
  assert [frame[:2] for frame in pyav] == [frame[:2] for frame in tfio]
  assert [clips.number_of(f.image) for f in tfio] == [10, 14, 18]
  assert tfio[0].image.shape == pyav[0].image.shape == (48, 80, 3)


def test_a_repeated_frame_is_detected(clip, ffmpeg_4):
  """Runs in a child, since tensorflow-io may crash this process."""
  code = f"""
import numpy as np
from tf_ssl.video.decoding import decode, tfio_reader
from tf_ssl.video.source import videos
video = videos.Video({clip("a.mp4").path!r}, "a.mp4")
with tfio_reader.TfioReader(video) as reader:
  images = reader._decode()
  images = np.stack([images[0]] * 50)  # Its known bug.
  reader._decode = lambda: images
  try:
    list(reader.frames([0, 7, 40]))
  except decode.DecodeError as error:
    print(error)
"""
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout.startswith("a.mp4: ")
  assert done.stdout.endswith(" frame 7\n")


def test_damage_is_an_error_and_the_process_survives(
  clip, clips, decoder, tmp_path
):
  video = clip("a.avi", codec="mpeg4", count=300, size=(160, 96))
  with open(video.path, "rb") as file:
    content = bytearray(file.read())
  for share in (2, 4):
    place = len(content) // share
    content[place : place + 60] = bytes(60)
    path = tmp_path / f"damaged_{share}.avi"
    path.write_bytes(content)
    damaged = videos.Video(str(path), path.name)
    with pytest.raises(decode.DecodeError, match=f"{path.name}: frame"):
      decoder.read_frames(damaged, range(290), reader="tfio")
  (tmp_path / "text.mp4").write_text("Hello.\n" * 100)
  with pytest.raises(decode.DecodeError, match="text.mp4: "):
    decoder.read_frames(
      videos.Video(str(tmp_path / "text.mp4"), "text.mp4"), [0], reader="tfio"
    )
  images = decoder.read_frames(video, [0, 7, 40], reader="tfio").images
  assert [clips.number_of(image) for image in images] == [0, 7, 40]


def test_a_cover_picture_before_the_film_is_refused(clips, decoder, tmp_path):
  path = clips.write_after_a_cover(tmp_path / "a.mkv")
  video = videos.Video(path, "a.mkv")
  with pytest.raises(decode.DecodeError, match="a.mkv: .*cover.*'pyav'"):
    decoder.read_frames(video, [0], reader="tfio")


def test_made_up_times_are_said_by_both_readers(clip, decoder):
  video = clip("a.avi", codec="libx264", options={"bf": "2"})
  notes = []
  for reader in ("pyav", "tfio"):
    assert sum(1 for _ in decoder.iterate_frames(video, reader=reader)) == 50
    notes.append(decoder.notes)
  assert notes[0] == notes[1] and len(notes[0]) == 1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
