"""Tests of tf_ssl.video.decoding.pyav_reader."""

import pathlib
import subprocess
import sys

import av
import numpy as np
import pytest

from tf_ssl.video.decoding import decode, packet_index, pyav_reader
from tf_ssl.video.source import videos

# Prints the growth of peak memory, KiB.
_MEMORY = """
import resource, sys
from tf_ssl.video.decoding import decode
from tf_ssl.video.source import videos
def peak():
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sum(1 for _ in decode.iterate_frames(videos.Video(sys.argv[1], 'short')))
before = peak()
video = videos.Video(sys.argv[2], 'long')
count = sum(1 for _ in decode.iterate_frames(video))
decode.read_frames(video, [0, 7, count - 1])
print(count, peak() - before)
"""


def test_reading_few_frames_decodes_few_frames(clip, clips):
  video = clip("long.mp4", count=4100, gop=50, options={"preset": "ultrafast"})
  with pyav_reader.PyavReader(video, num_threads=1) as reader:
    found = list(reader.frames([0, 7, 4000]))
    assert [frame.number for frame in found] == [0, 7, 4000]
    shown = [clips.number_of(frame.image) for frame in found]
    assert shown == [0, 7, 4000 % 1024]
    assert reader.num_decoded <= 2 * 50


@pytest.mark.parametrize("gop", [1, 2, 12])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.webm", "a.wmv"])
def test_seeking_gives_the_frames_of_sequential_decoding(clip, name, gop):
  codec = {"webm": "libvpx", "wmv": "wmv2"}.get(name[2:], "libx264")
  video = clip(name, codec=codec, gop=gop)
  truth = [frame.image for frame in decode.iterate_frames(video)]
  with pyav_reader.PyavReader(video) as reader:
    for number in (49, 3, 24, 25, 11, 0, 48):
      frame = next(reader.frames([number]))
      np.testing.assert_array_equal(frame.image, truth[number])


def test_a_file_with_a_wrong_keyframe_list_is_decoded_from_the_start(
  clip, clips
):
  video = clip("a.mp4", gop=100)  # one keyframe
  with pyav_reader.PyavReader(video) as reader:
    lie = np.array([0, 20], np.int64)
    reader.index = reader.index._replace(
      keyframes=lie, keyframe_dts=reader.index.pts[lie]
    )
    shown = [clips.number_of(frame.image) for frame in reader.frames([30, 35])]
  assert shown == [30, 35]


def test_frames_can_be_requested_repeatedly(clip, clips):
  with pyav_reader.PyavReader(clip("a.mp4")) as reader:
    for numbers in ([3, 30], [0], [49], [1, 2]):
      found = reader.frames(numbers)
      assert [clips.number_of(frame.image) for frame in found] == numbers


def test_memory_does_not_grow_with_the_length_of_the_video(clips, tmp_path):
  paths = [
    clips.write(
      tmp_path / f"{count}.mp4", count=count, codec="mpeg4", size=(320, 240)
    )
    for count in (60, 1200)
  ]
  done = subprocess.run(
    [sys.executable, "-c", _MEMORY, *paths],
    capture_output=True,
    text=True,
    check=True,
  )
  count, grown = map(int, done.stdout.split())
  assert count == 1200
  # All frames together are 276 MB.
  assert grown < 20_000, f"{grown} KiB"


def _plain(path):
  """Decodes every frame as a player does: errors do not stop it."""
  shown = []
  with av.open(path) as container:
    streams = container.streams.video
    stream = next(
      (s for s in streams if s.codec_context.name != "mjpeg"), streams[0]
    )
    for packet in container.demux(stream):
      try:
        decoded = packet.decode()
      except av.error.FFmpegError:
        continue
      for frame in decoded:
        image = frame.to_ndarray(format="rgb24")
        shown.append(np.rot90(image, round(frame.rotation / 90)))
  return shown


def _frames_equal_a_plain_decode(video):
  """Compares all frames in order, and some at random."""
  truth = _plain(video.path)
  with pyav_reader.PyavReader(video) as reader:
    assert len(reader.times) == len(truth)
    assert (np.diff(reader.times) > 0).all()
    for number, frame in enumerate(reader.frames(range(len(truth)))):
      assert frame.number == number
      np.testing.assert_array_equal(frame.image, truth[number])
    rng = np.random.default_rng(0)
    for number in rng.integers(len(truth), size=6).tolist():
      [frame] = reader.frames([number])
      np.testing.assert_array_equal(frame.image, truth[number])


_BIDIRECTIONAL = {"count": 40, "options": {"bf": "2"}}
_FILMS = {
  "a.avi": {"codec": "libx264", **_BIDIRECTIONAL},
  "b.avi": {"codec": "mpeg4", **_BIDIRECTIONAL},
  "c.avi": {"codec": "mpeg2video", **_BIDIRECTIONAL},
  "d.avi": {"codec": "mjpeg", "pixels": "yuvj420p", "count": 20},
  "a.asf": {"codec": "libx264", **_BIDIRECTIONAL},
  "a.flv": {"codec": "libx264", **_BIDIRECTIONAL},
  "a.ts": {"codec": "libx264", **_BIDIRECTIONAL},
  "b.ts": {"codec": "mpeg2video", **_BIDIRECTIONAL},
  "a.MTS": {"options": {"x264-params": "interlaced=1"}, "count": 30},
  "a.mpg": {"codec": "mpeg1video", **_BIDIRECTIONAL},
  "a.vob": {"codec": "mpeg2video", **_BIDIRECTIONAL},
  "a.mxf": {"codec": "mpeg2video", **_BIDIRECTIONAL},
  "a.h264": _BIDIRECTIONAL,
  "a.m4v": {"codec": "mpeg4", **_BIDIRECTIONAL},
  "a.mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p", "count": 20},
  "a.gif": {"codec": "gif", "pixels": "rgb8", "count": 20},
  "a.webm": {"codec": "libvpx", "count": 40, "options": {"auto-alt-ref": "1"}},
  "a.wmv": {"codec": "wmv2", "count": 40},
  "a.nut": _BIDIRECTIONAL,
  "open.mkv": {"options": {"x264-params": "open-gop=1:bframes=3"}},
  "refresh.ts": {"options": {"x264-params": "intra-refresh=1"}},
  "a.mov": {"codec": "png", "pixels": "rgb24", "count": 10},
}


@pytest.mark.parametrize("name", _FILMS)
def test_every_frame_is_the_one_of_a_plain_decode(clip, name):
  _frames_equal_a_plain_decode(clip(name, **_FILMS[name]))


@pytest.mark.slow
def test_every_frame_of_real_films_is_the_one_of_a_plain_decode(shared_data):
  found = videos.find_videos(str(shared_data / "videos"))
  assert len(found) > 80
  for video in found:
    _frames_equal_a_plain_decode(video)


def test_h264_with_reordered_frames_in_avi_has_every_frame(clip):
  video = clip("a.avi", codec="libx264", count=40, options={"bf": "3"})
  _frames_equal_a_plain_decode(video)
  with pyav_reader.PyavReader(video) as reader:
    np.testing.assert_allclose(reader.times, np.arange(40) / 25)


def test_joined_transport_streams_have_every_frame_in_decoded_order(clip):
  first = clip("a.ts", count=20, options={"bf": "2"})
  second = clip("b.ts", count=13, options={"bf": "2"})
  with open(first.path, "ab") as joined, open(second.path, "rb") as more:
    joined.write(more.read())
  _frames_equal_a_plain_decode(first)


def test_a_cover_picture_before_the_film_is_not_the_film(clips, tmp_path):
  path = clips.write_after_a_cover(tmp_path / "a.mkv")
  _frames_equal_a_plain_decode(videos.Video(path, "a.mkv"))


def test_a_title_that_is_not_utf8_does_not_end_reading(tmp_path, clip):
  path = clip("a.mkv", count=5).path
  titled = tmp_path / "titled.mkv"
  with av.open(path) as source, av.open(str(titled), "w") as target:
    target.metadata["title"] = "TITLETITLE"
    stream = target.add_stream_from_template(source.streams.video[0])
    for packet in source.demux(source.streams.video[0]):
      if packet.size:
        packet.stream = stream
        target.mux(packet)
  data = titled.read_bytes()
  assert b"TITLETITLE" in data
  titled.write_bytes(data.replace(b"TITLETITLE", b"\xff\xfeTLETITLE"))
  with pyav_reader.PyavReader(videos.Video(str(titled), "titled")) as reader:
    assert len(list(reader.frames(range(5)))) == 5


def _notes(video):
  with pyav_reader.PyavReader(video) as reader:
    found = list(reader.frames(range(len(reader.times)), skip_missing=True))
    return [frame.number for frame in found], " ".join(reader.notes)


def test_a_film_that_begins_between_keyframes_has_the_frames_shown(clip):
  video = clip("a.ts", count=40, gop=12, options={"bf": "2"})
  path = pathlib.Path(video.path)
  content = path.read_bytes()
  path.write_bytes(content[len(content) // 2 // 188 * 188 :])
  _frames_equal_a_plain_decode(video)


def _hide(video, number):
  """Marks a frame of VP8 as only referred to, as encoders do."""
  path = pathlib.Path(video.path)
  with av.open(video.path) as container:
    packets = [bytes(packet) for packet in container.demux(video=0)]
  content = path.read_bytes()
  at = content.find(packets[number])
  assert at > 0 and content[at] & 0x10
  hidden = bytes([content[at] & ~0x10])
  path.write_bytes(content[:at] + hidden + content[at + 1 :])


@pytest.mark.parametrize("is_known", [True, False])
def test_frames_that_are_never_shown_have_no_number(
  clip, monkeypatch, is_known
):
  video = clip("a.webm", codec="libvpx", count=20, size=(160, 96))
  _hide(video, 4)
  if not is_known:  # As with other codecs: the first frames tell.
    monkeypatch.setattr(packet_index, "_is_hidden", lambda *args: False)
  _frames_equal_a_plain_decode(video)
  with pyav_reader.PyavReader(video) as reader:
    assert len(reader.times) == 19
    np.testing.assert_allclose(reader.times[3:5], [0.12, 0.2])


# Files of libx264 with its usual settings differ from run to run.
_X264 = {
  "codec": "libx264",
  "options": {"x264-params": "threads=1:rc-lookahead=0:sync-lookahead=0"},
}
_MPEG4 = {"codec": "mpeg4", "options": {"bf": "2"}}


def _damage(video, at=0.5):
  path = pathlib.Path(video.path)
  content = bytearray(path.read_bytes())
  begin = int(at * len(content))
  content[begin : begin + 40] = bytes(40)
  path.write_bytes(content)


@pytest.mark.parametrize(
  "name, settings, at",
  [
    ("a.avi", _MPEG4, 0.5),
    ("a.avi", _MPEG4, 0.8),
    ("a.avi", _X264, 0.8),
    ("a.m4v", _MPEG4, 0.4),
  ],
)
def test_damage_does_not_move_the_numbers_of_later_frames(
  clip, name, settings, at
):
  video = clip(name, count=60, size=(160, 96), **settings)
  _damage(video, at)
  truth = _plain(video.path)
  with pyav_reader.PyavReader(video) as reader:
    total = len(reader.times)
    found = list(reader.frames(range(total), skip_missing=True))
  lost = set(range(total)) - {frame.number for frame in found}
  assert 0 < len(lost) < 30
  assert found[-1].number > min(lost)  # Frames after the damage are given.
  for frame in found:
    np.testing.assert_array_equal(frame.image, truth[frame.number])
  assert f"{total - len(found)} of {total} frames" in " ".join(reader.notes)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_the_frames_of_a_damaged_film_do_not_depend_on_the_threads(clip, name):
  video = clip(name, count=60, size=(160, 96), **_MPEG4)
  _damage(video, 0.5)
  shown = []
  for num_threads in (1, 2, 16):
    with pyav_reader.PyavReader(video, num_threads=num_threads) as reader:
      found = reader.frames(range(len(reader.times)), skip_missing=True)
      shown.append([frame.number for frame in found])
  assert shown[0] == shown[1] == shown[2]
  assert len(shown[0]) < 60


@pytest.mark.parametrize("num_threads", [0, 1, 4])
def test_damage_in_mpeg_2_is_found_by_any_number_of_threads(clip, num_threads):
  """Threads that share a frame would patch it and say nothing."""
  intact = clip("a.mpg", codec="mpeg2video", count=60, size=(160, 96))
  truth = _plain(intact.path)
  _damage(intact, 0.8)
  with pyav_reader.PyavReader(intact, num_threads=num_threads) as reader:
    found = list(reader.frames(range(60), skip_missing=True))
  assert 30 < len(found) < 60
  for frame in found:
    np.testing.assert_array_equal(frame.image, truth[frame.number])


def test_lost_frames_are_counted_among_those_requested(clip):
  video = clip("a.mp4", count=60, gop=60, size=(160, 96), **_MPEG4)
  _damage(video, 0.4)
  with pyav_reader.PyavReader(video) as reader:
    found = list(reader.frames(range(0, 60, 5), skip_missing=True))
    lost = 12 - len(found)
    assert 0 < lost < 12
    assert reader.notes == (f"{lost} of 12 frames cannot be decoded",)


def test_damage_beside_the_frames_read_is_said(clip):
  video = clip("a.mp4", count=60, gop=12, size=(160, 96), **_MPEG4)
  _damage(video, 0.4)
  with pyav_reader.PyavReader(video) as reader:
    every = {f.number for f in reader.frames(range(60), skip_missing=True)}
    intact = sorted(every)
  with pyav_reader.PyavReader(video) as reader:
    reader._may_seek = False  # Else it would not meet the damage.
    assert sum(1 for _ in reader.frames(intact)) == len(intact)
    (note,) = reader.notes
    assert "damaged" in note and f"{len(intact)} frames" in note


def test_an_intact_film_with_time_stamps_has_no_notes(clip):
  assert _notes(clip("a.mp4", count=20)) == (list(range(20)), "")
  assert _notes(clip("b.mkv", count=20)) == (list(range(20)), "")


def test_a_seek_between_frames_that_need_each_other_is_no_damage(clip, clips):
  options = {"x264-params": "open-gop=1:bframes=3:keyint=10"}
  video = clip("a.mkv", count=60, options=options)
  with pyav_reader.PyavReader(video) as reader:
    found = list(reader.frames(range(0, 60, 13)))
    assert [clips.number_of(f.image) for f in found] == list(range(0, 60, 13))
    assert reader.notes == ()


@pytest.mark.parametrize(
  "name, settings, why",
  [
    ("a.avi", {"codec": "libx264"}, "it has no time stamps"),
    ("a.asf", {"codec": "libx264"}, "contradict the order"),
    ("a.mkv", {"pts": [i // 2 * 80 for i in range(20)]}, "repeat"),
  ],
)
def test_times_that_are_made_up_are_said(clip, name, settings, why):
  options = {"bf": "0" if "pts" in settings else "2"}
  shown, notes = _notes(clip(name, count=20, options=options, **settings))
  assert shown == list(range(20))
  assert why in notes and "25 frames per second" in notes
  assert "guess" not in notes


def test_time_stamps_that_run_backwards_are_said(clip):
  first, second = clip("a.ts", count=20), clip("b.ts", count=13)
  with open(first.path, "ab") as joined, open(second.path, "rb") as more:
    joined.write(more.read())
  shown, notes = _notes(first)
  assert shown == list(range(33)) and "run backwards" in notes


def test_the_rate_of_a_bare_stream_is_a_guess_whatever_its_name(clip):
  bare = clip("a.h264", count=20, fps=10)
  path = pathlib.Path(bare.path).with_suffix(".mp4")
  pathlib.Path(bare.path).rename(path)
  shown, notes = _notes(videos.Video(str(path), "a.mp4"))
  assert shown == list(range(20))
  assert "10 frames per second, a guess" in notes


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
