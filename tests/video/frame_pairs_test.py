"""Tests of tf_ssl.video.frame_pairs on exact indices."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.video import frame_pairs
from tf_ssl.video.decoding import decode


def pairs(count, fps=10.0, missing=(), **distance):
  """Frame numbers of the pairs of a video of `count` frames."""
  times = np.arange(count) / fps
  stride, seconds = distance.get("frames"), distance.get("seconds")
  sampled = decode.numbers_to_iterate(
    times, stride=stride or 1, every_seconds=seconds
  )
  numbers = np.array([n for n in sampled if n not in missing], np.int64)
  rows = frame_pairs.neighbors(numbers, times[numbers], **distance)
  return numbers[rows].reshape(-1, 2).tolist()


def test_both_frames_are_at_multiples_of_k():
  assert pairs(22, frames=7) == [[0, 7], [7, 14], [14, 21]]
  assert pairs(21, frames=7) == [[0, 7], [7, 14]]
  assert pairs(4, frames=1) == [[0, 1], [1, 2], [2, 3]]


def test_a_distance_in_seconds_follows_the_frame_rate():
  assert pairs(22, fps=10.0, seconds=0.7) == pairs(22, frames=7)
  assert pairs(7, fps=2.0, seconds=1.0) == [[0, 2], [2, 4], [4, 6]]
  assert pairs(3, fps=1.0, seconds=1.0) == [[0, 1], [1, 2]]


def test_a_frame_interval_above_the_distance_gives_no_pairs():
  assert pairs(5, fps=1.0, seconds=0.5) == []


def test_a_missing_frame_removes_its_two_pairs():
  assert pairs(29, missing=[14], frames=7) == [[0, 7], [21, 28]]
  assert pairs(29, missing=[14], seconds=0.7) == [[0, 7], [21, 28]]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_short_video_has_no_pair(count):
  numbers = np.arange(0, count, 7)
  found = frame_pairs.neighbors(numbers, numbers / 10.0, frames=7)
  assert found.shape == (0, 2) and found.dtype == np.int64


@pytest.mark.parametrize(
  "distance", [{}, {"frames": 2, "seconds": 1.0}, {"frames": 0}]
)
def test_exactly_one_positive_distance_is_required(distance):
  with pytest.raises(errors.UsageError, match="frames=.*seconds=.*SECONDS"):
    frame_pairs.neighbors(np.arange(4), np.arange(4.0), **distance)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
