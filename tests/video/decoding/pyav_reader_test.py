"""Tests of tf_ssl.video.decoding.pyav_reader."""

import subprocess
import sys

import av
import numpy as np
import pytest

from tf_ssl.video.decoding import decode, pyav_reader
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))


def _plain(path):
  """Decodes every frame of the film's stream from first to last."""
  with av.open(path) as container:
    streams = container.streams.video
    stream = next(
      (s for s in streams if s.codec_context.name != "mjpeg"), streams[0]
    )
    return [f.to_ndarray(format="rgb24") for f in container.decode(stream)]


def _frames_equal_a_plain_decode(video):
  truth = _plain(video.path)
  with pyav_reader.PyavReader(video) as reader:
    assert len(reader.times) == len(truth)
    assert (np.diff(reader.times) > 0).all()
    found = list(reader.frames(range(len(truth))))
    later = next(reader.frames([len(truth) - 2]))
  for number, frame in enumerate(found):
    np.testing.assert_array_equal(frame.image, truth[number])
  np.testing.assert_array_equal(later.image, truth[-2])


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


def test_a_cover_picture_before_the_film_is_not_the_film(tmp_path):
  path = str(tmp_path / "a.mkv")
  with av.open(path, "w") as container:
    cover = container.add_stream("mjpeg", rate=25)
    cover.width = cover.height = 32
    cover.pix_fmt = "yuvj420p"
    film = container.add_stream("libx264", rate=25)
    film.width = film.height = 64
    gray = np.zeros([32, 32, 3], np.uint8)
    frame = av.VideoFrame.from_ndarray(gray, format="rgb24")
    container.mux(cover.encode(frame))
    container.mux(cover.encode())
    for number in range(10):
      gray = np.full([64, 64, 3], 20 * number, np.uint8)
      frame = av.VideoFrame.from_ndarray(gray, format="rgb24")
      container.mux(film.encode(frame))
    container.mux(film.encode())
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
