"""Tests of tf_ssl.video.decoding.frames."""

import sys

import numpy as np
import pytest

from tf_ssl.video.decoding import frames


def frame(number, size=(2, 3)):
  return frames.Frame(
    number, number / 10, np.full([*size, 3], number, np.uint8)
  )


def test_frames_are_returned_in_the_order_of_the_request():
  found = frames.gather("a.mp4", [7, 2, 7], iter([frame(2), frame(7)]))
  assert found.images[:, 0, 0, 0].tolist() == [7, 2, 7]
  assert found.numbers.tolist() == [7, 2, 7]
  np.testing.assert_allclose(found.times, [0.7, 0.2, 0.7])


def test_no_request_is_no_frame():
  assert frames.gather("a.mp4", [], iter([])).images.shape == (0, 0, 0, 3)


def test_missing_frames_and_frames_of_other_sizes_are_errors():
  with pytest.raises(frames.DecodeError, match="a.mp4: frames 1, 3"):
    frames.gather("a.mp4", [3, 2, 1], iter([frame(2)]))
  with pytest.raises(frames.DecodeError, match="frame 2 .*5x4.*3x2"):
    frames.gather("a.mp4", [1, 2], iter([frame(1), frame(2, (4, 5))]))


def test_a_number_out_of_range_is_named():
  frames.check_numbers("a.mp4", [0, 4], 5)
  for number in (-1, 5):
    with pytest.raises(frames.DecodeError, match=f"a.mp4: .*{number}.* 5 "):
      frames.check_numbers("a.mp4", [0, number], 5)


def test_frames_are_scaled_down_only_and_keep_their_aspect_ratio():
  assert frames.scaled_size(96, 160, 48) == (48, 80)
  assert frames.scaled_size(160, 96, 48) == (80, 48)
  assert frames.scaled_size(96, 160, 100) == (96, 160)
  assert frames.scaled_size(96, 160, None) == (96, 160)
  assert frames.scaled_size(1, 1000, 1) == (1, 1000)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
