"""Indices of real files against their decoded frames."""

import pathlib
import sys

import av
import numpy as np
import pytest

from tf_ssl.video.decoding import frames, packet_index


def _index(video):
  with av.open(video.path) as container:
    stream = container.streams.video[0]
    return packet_index.build("v", packet_index.Packets(container, stream))


def _decoded(video):
  """Time stamps and key frames by decoding every frame."""
  with av.open(video.path) as container:
    found = list(container.decode(container.streams.video[0]))
  return [frame.pts for frame in found], [frame.key_frame for frame in found]


def test_time_stamps_and_keyframes_equal_those_of_decoded_frames(clip):
  video = clip("a.mp4", count=50, gop=12, options={"bf": "2"})
  index = _index(video)
  pts, is_key = _decoded(video)
  assert index.is_exact
  assert index.pts.tolist() == pts
  assert index.keyframes.tolist() == np.flatnonzero(is_key).tolist()
  assert len(index.keyframes) >= 5
  assert (np.diff(index.keyframe_dts) > 0).all()
  assert index.fps == pytest.approx(25)
  np.testing.assert_allclose(index.times, np.arange(50) / 25, atol=1e-6)


def test_uneven_time_stamps_are_kept(clip):
  pts = [0, 40, 50, 200, 1000]
  index = _index(clip("a.mkv", count=5, pts=pts, gop=1))
  np.testing.assert_allclose(index.times, np.array(pts) / 1000, atol=1e-3)
  assert index.fps == pytest.approx(4.0)
  assert index.keyframes.tolist() == [0, 1, 2, 3, 4]


def test_a_frame_is_found_by_its_time_stamp(clip):
  index = _index(clip("a.mp4", count=9))
  for number, pts in enumerate(index.pts):
    assert index.number(int(pts)) == number
  for other in (None, int(index.pts[3]) + 1, -5, int(index.pts[-1]) + 1):
    assert index.number(other) is None


def test_reordered_frames_without_time_stamps_are_not_exact(clip):
  settings = {"codec": "mpeg4", "count": 20}
  packed = _index(clip("b.avi", options={"bf": "2"}, **settings))
  plain = _index(clip("a.avi", options={"bf": "0"}, **settings))
  assert plain.is_exact and not packed.is_exact
  assert len(plain.pts) == 20


def test_a_single_frame_has_no_rate(clip):
  index = _index(clip("a.mp4", count=1))
  assert index.fps == 0.0 and index.times.tolist() == [0.0]


def test_times_count_from_the_start_of_the_file_over_all_streams(clip):
  # The video begins half a second after the file's zero.
  late = _index(clip("a.mkv", count=3, pts=[500, 540, 580], audio=True))
  np.testing.assert_allclose(late.times, [0.5, 0.54, 0.58], atol=2e-3)


class _Empty:
  """A container whose stream has no packet."""

  def __init__(self, error=None):
    self._error = error

  def demux(self, stream):
    del stream
    if self._error:
      raise self._error
    return iter([])


@pytest.mark.parametrize(
  "error", [None, av.error.InvalidDataError(1, "damaged")]
)
def test_a_stream_without_packets_is_an_error_with_its_name(error):
  with pytest.raises(frames.DecodeError, match="v: it has no frame"):
    packet_index.build("v", packet_index.Packets(_Empty(error), None))


def test_a_jump_of_the_time_stamps_is_said_and_does_not_count_for_the_rate(
  clip,
):
  pts = [40 * i + (86_400_000 if i >= 10 else 0) for i in range(20)]
  index = _index(clip("a.mkv", count=20, pts=pts, options={"bf": "0"}))
  assert index.fps == pytest.approx(25)
  (note,) = index.notes
  assert "86400" in note and "frame 9" in note


def test_gaps_of_a_constant_frame_rate_are_said(clip):
  def notes(name, pts):
    return _index(clip(name, count=len(pts), pts=pts)).notes

  regular = [40 * number for number in range(40)]
  assert notes("a.mkv", regular) == ()
  (note,) = notes("b.mkv", regular[:9] + regular[11:20] + regular[21:])
  assert "gaps (2)" in note
  uneven = [40 * number + number // 3 * 100 for number in range(40)]
  assert notes("c.mkv", uneven) == ()


def test_a_file_that_ends_early_is_said(clip):
  for name, settings, announced in (
    ("a.mkv", {}, "announces 2.4 s"),
    ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}, "announces 60 frames"),
  ):
    video = clip(name, count=60, size=(160, 96), **settings)
    assert not _index(video).notes
    path = pathlib.Path(video.path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert announced in " ".join(_index(video).notes)


def test_an_index_of_some_frames_keeps_their_keyframes(clip):
  index = _index(clip("a.mkv", codec="libvpx", count=20, gop=5))
  assert index.keyframes.tolist() == [0, 5, 10, 15]
  some = index.only(index.pts[3:])
  assert some.keyframes.tolist() == [2, 7, 12]
  np.testing.assert_array_equal(some.keyframe_dts, index.keyframe_dts[1:])
  assert some.number(int(index.pts[3])) == 0


def test_numbered_packets_keep_their_time_stamps_aside(clip):
  video = clip("a.mkv", count=9, options={"bf": "2"})
  with av.open(video.path) as container:
    stream = container.streams.video[0]
    packets = packet_index.Packets(container, stream, numbered=True)
    found = [(packet.pts, packet.dts) for packet in packets]
  assert found == [(number, None) for number in range(9)]
  assert sorted(packets.pts) == [40 * number for number in range(9)]
  assert packets.pts != sorted(packets.pts)  # In the order of decoding.


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
