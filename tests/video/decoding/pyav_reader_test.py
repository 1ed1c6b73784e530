"""Tests of tf_ssl.video.decoding.pyav_reader."""

import subprocess
import sys

import numpy as np
import pytest

from tf_ssl.video.decoding import decode, pyav_reader

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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
