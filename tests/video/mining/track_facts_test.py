"""Tests of tf_ssl.video.mining.track_facts."""

import sys

import numpy as np
import pytest

from tf_ssl.video.mining import track_facts, track_records


def clip(lefts, rate=4.0, size=(100, 200), side=20):
  """Track 5 is a square with these left edges in pixels; track 6 is absent."""
  frames = [
    track_records.TrackedFrame(
      b"",
      number,
      number / rate,
      np.array([5], np.int64),
      np.array([[40, left, 40 + side, left + side]], np.float32)
      / np.float32([*size, *size]),
    )
    for number, left in enumerate(lefts)
  ]
  return track_records.TrackedClip(
    "a.mp4", rate, size, *size, frames, {5: 0.75, 6: 0.5}, ("cut", "")
  )


def test_a_track_that_moves_its_size_in_a_second_has_motion_1():
  # 5 px from frame to frame, 4 frames per second, a side of 20 px.
  (fact,) = track_facts.of_clip(clip(5 * np.arange(9)))
  assert fact == track_facts.TrackFacts(
    5, 0.75, 2.0, pytest.approx(1.0, abs=1e-3), "cut"
  )


def test_trembling_is_little_motion():
  (fact,) = track_facts.of_clip(clip([10, 11] * 5))
  # A second later the box is where it was.
  assert fact.motion == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("lefts, motion", [([10, 15], 1.0), ([10], 0.0)])
def test_short_tracks_have_the_motion_of_their_time(lefts, motion):
  (fact,) = track_facts.of_clip(clip(lefts))
  assert fact.seconds == (len(lefts) - 1) / 4
  assert fact.motion == pytest.approx(motion, abs=1e-3)


def test_without_known_ends_they_are_empty():
  (fact,) = track_facts.of_clip(clip([10, 15])._replace(ends=()))
  assert fact.end == ""


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
