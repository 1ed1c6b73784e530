"""Indices of real files against their decoded frames."""

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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
