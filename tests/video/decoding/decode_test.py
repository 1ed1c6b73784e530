"""Tests of tf_ssl.video.decoding.decode with all readers of this process."""

import subprocess
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.video.decoding import decode
from tf_ssl.video.source import videos

_KINDS = {
  "plain.mp4": {},
  "variable_rate.mp4": {"pts": [i * 40 + i // 3 * 100 for i in range(50)]},
  "variable_rate.mkv": {"pts": [i * 40 + i // 3 * 100 for i in range(50)]},
  "odd_size.mkv": {"codec": "ffv1", "pixels": "bgr0", "size": (63, 47)},
  "odd_size.avi": {"codec": "mjpeg", "pixels": "yuvj444p", "size": (63, 47)},
  "odd_size.mp4": {"pixels": "yuv444p", "size": (63, 47)},
  "audio.mp4": {"audio": True},
  "late.mp4": {"pts": [5000 + 40 * i for i in range(50)]},
  "one_a_second.asf": {"codec": "msmpeg4", "fps": 1},
  "reordered.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
  "transport.ts": {},
  "vp9.webm": {"codec": "libvpx-vp9"},
  "windows.wmv": {"codec": "wmv2"},
  "open_groups.mp4": {"options": {"x264-params": "open-gop=1:bframes=3"}},
  "no_keyframes.mp4": {"options": {"x264-params": "intra-refresh=1"}},
}


@pytest.mark.parametrize("name", _KINDS)
def test_frames_are_exactly_those_requested(clip, clips, name):
  settings = _KINDS[name]
  video = clip(name, **settings)
  info = decode.probe(video)
  width, height = settings.get("size", (64, 48))
  assert (info.num_frames, info.height, info.width) == (50, height, width)
  frames = decode.read_frames(video, [40, 0, 7, 49, 7])
  assert [clips.number_of(image) for image in frames.images] == [
    40,
    0,
    7,
    49,
    7,
  ]
  assert frames.numbers.tolist() == [40, 0, 7, 49, 7]
  shown = [
    (frame.number, clips.number_of(frame.image))
    for frame in decode.iterate_frames(video, stride=3)
  ]
  assert shown == [(number, number) for number in range(0, 50, 3)]


def test_times_are_the_time_stamps_of_the_file(clip):
  pts = [i * 40 + i // 3 * 100 for i in range(50)]
  frames = decode.read_frames(clip("a.mkv", pts=pts), range(50))
  np.testing.assert_allclose(frames.times, np.array(pts) / 1000, atol=1e-3)


def test_a_stream_that_starts_late_keeps_its_start_time(clip, clips):
  pts = [1000 + 40 * i for i in range(50)]
  video = clip("a.mkv", pts=pts, audio=True)
  frames = decode.read_frames(video, [0, 5])
  np.testing.assert_allclose(frames.times, [1.0, 1.2], atol=0.03)
  assert [clips.number_of(image) for image in frames.images] == [0, 5]


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_metadata_is_applied(clip, clips, rotation):
  video = clip("a.mp4", rotation=rotation)
  info = decode.probe(video)
  upright = (48, 64) if rotation == 180 else (64, 48)
  assert (info.height, info.width) == upright
  image = decode.read_frames(video, [9]).images[0]
  stored = np.rot90(image, -rotation // 90)
  assert clips.number_of(stored) == 9
  assert np.abs(stored.astype(int) - clips.picture(9)).mean() < 12


def test_size_limits_the_shorter_side_and_keeps_the_aspect_ratio(clip, clips):
  video = clip("a.mp4", size=(160, 96))
  images = decode.read_frames(video, [3, 4], size=48).images
  assert images.shape == (2, 48, 80, 3)
  assert [clips.number_of(image) for image in images] == [3, 4]
  assert decode.read_frames(video, [3], size=500).images.shape[1:3] == (96, 160)


def test_every_seconds_selects_the_first_frame_at_or_after_each_multiple(clip):
  video = clip("a.mp4")  # 25 frames a second
  found = decode.iterate_frames(video, every_seconds=0.5)
  assert [frame.number for frame in found] == [0, 13, 25, 38]
  times = np.array([0.0, 0.1, 5.0, 5.1, 6.2])
  assert decode.numbers_to_iterate(times, every_seconds=1.0) == [0, 2, 4]


def test_frames_of_a_part_are_numbered_from_its_start(clip, clips):
  video = clip("a.mp4")._replace(start=0.4, end=0.8)
  assert decode.probe(video).num_frames == 10
  frames = decode.read_frames(video, [0, 9])
  assert [clips.number_of(image) for image in frames.images] == [10, 19]
  np.testing.assert_allclose(frames.times, [0.4, 0.76])
  with pytest.raises(decode.DecodeError, match="9 s"):
    decode.probe(video._replace(start=9.0, end=None))


def test_a_file_that_is_not_a_video_is_an_error_with_name_and_reason(tmp_path):
  def reason(name, content):
    (tmp_path / name).write_bytes(content)
    video = videos.Video(str(tmp_path / name), name)
    with pytest.raises(decode.DecodeError) as caught:
      decode.read_frames(video, [0])
    assert caught.value.name == name
    assert str(caught.value) == f"{name}: {caught.value.reason}"
    return caught.value.reason

  assert reason("a.mp4", b"") == "empty file"
  assert "cannot be opened as a video" in reason("b.mp4", b"Hello.\n" * 500)
  play_list = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
  assert "cannot be opened as a video" in reason("c.mp4", play_list)


def test_a_missing_file_and_a_frame_beyond_the_end_are_errors(clip):
  with pytest.raises(decode.DecodeError, match="none.mp4: "):
    decode.probe(videos.Video("/none.mp4", "none.mp4"))
  with pytest.raises(decode.DecodeError, match="50; .* 50 frames"):
    decode.read_frames(clip("a.mp4"), [0, 50])
  with pytest.raises(decode.DecodeError, match="b.mp4: .*-1"):
    decode.read_frames(clip("b.mp4"), [-1])


def _truncated(video, tmp_path, share=0.6):
  with open(video.path, "rb") as file:
    content = file.read()
  path = tmp_path / f"cut_{video.name}"
  path.write_bytes(content[: int(len(content) * share)])
  return videos.Video(str(path), path.name)


@pytest.mark.parametrize(
  "name, settings",
  [
    ("a.mkv", {}),
    ("a.avi", {"codec": "mpeg4"}),
    ("a.mp4", {"container_options": {"movflags": "faststart"}}),
  ],
)
def test_a_truncated_file_gives_its_intact_frames_once(
  clip, clips, tmp_path, name, settings
):
  intact = clip(name, count=300, size=(160, 96), **settings)
  video = _truncated(intact, tmp_path)
  count = decode.probe(video).num_frames
  assert 100 < count < 250
  found = list(decode.iterate_frames(video))
  assert count - 3 <= len(found) <= count
  shown = [clips.number_of(frame.image) for frame in found]
  # The last packets may depend on packets that are cut off.
  assert shown[:-3] == list(range(len(shown) - 3))
  assert shown == [round(frame.time * 25) for frame in found]
  assert len(set(shown)) == len(shown)
  with pytest.raises(decode.DecodeError, match=f" {count} frames"):
    decode.read_frames(video, [0, 299])


def test_a_truncated_file_without_its_index_is_an_error(clip, tmp_path):
  with pytest.raises(decode.DecodeError, match="cut_a.mp4: "):
    decode.probe(_truncated(clip("a.mp4"), tmp_path))


def test_damaged_frames_are_omitted_and_never_replaced(shared_data, tmp_path):
  source = shared_data / "videos" / "davis2016" / "dog.mp4"
  intact = videos.Video(str(source), "dog.mp4")
  content = bytearray(source.read_bytes())
  middle = len(content) // 2
  content[middle : middle + 40] = bytes(40)
  (tmp_path / "damaged.mp4").write_bytes(content)
  damaged = videos.Video(str(tmp_path / "damaged.mp4"), "damaged.mp4")
  found = list(decode.iterate_frames(damaged, size=60))
  assert 10 < len(found) < 60
  truth = {f.number: f.image for f in decode.iterate_frames(intact, size=60)}
  for frame in found:
    difference = frame.image.astype(int) - truth[frame.number]
    assert np.abs(difference).mean() < 1, frame.number
  lost = sorted(set(truth) - {frame.number for frame in found})
  with pytest.raises(decode.DecodeError, match=f"frame {lost[0]}"):
    decode.read_frames(damaged, [0, lost[0]])


def test_settings_out_of_range_are_refused(clip):
  video = clip("a.mp4", count=3)
  with pytest.raises(errors.UsageError, match="reader: 'gif'"):
    decode.read_frames(video, [0], reader="gif")
  with pytest.raises(errors.UsageError, match="stride: 0"):
    next(decode.iterate_frames(video, stride=0))
  with pytest.raises(errors.UsageError, match="every_seconds: -1"):
    next(decode.iterate_frames(video, every_seconds=-1.0))


def test_decoding_needs_no_tensorflow(clip):
  code = (
    "import sys; from tf_ssl.video.decoding import decode;"
    "from tf_ssl.video.source import videos;"
    f"print(decode.probe(videos.Video({clip('a.mp4').path!r}, 'a')).num_frames,"
    "'tensorflow' in sys.modules)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout.split() == ["50", "False"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
