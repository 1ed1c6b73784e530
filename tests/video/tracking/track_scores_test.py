"""Tests of tf_ssl.video.tracking.track_scores on hand-made tracks."""

import sys

import numpy as np
import pytest

from tf_ssl.video.tracking import track_scores, tracker


def _straight(start, left, length=3):
  box = np.array([[left, 0, left + 32, 32]], float)
  ones = np.ones(length, np.float32)
  return tracker.Track(start, np.tile(box, [length, 1]), ones, ones)


def test_agreement_is_the_share_of_others_that_are_at_the_same_place():
  tracks = [_straight(0, 0), _straight(1, 0), _straight(1, 90)]
  # Each shares two frames with each other track from frame 1 on, or three.
  np.testing.assert_allclose(track_scores.agreement(tracks), [2 / 4, 2 / 5, 0])


def test_without_tracks_there_is_no_best_one():
  assert track_scores.best([]) == []


def test_a_track_alone_has_no_agreement():
  np.testing.assert_array_equal(track_scores.agreement([_straight(0, 0)]), [0])


def test_the_best_are_those_on_which_others_agree():
  tracks = [_straight(1, 90), _straight(0, 0), _straight(1, 0, 4)]
  found = track_scores.best(tracks)
  assert sorted(t.start for t in found) == [0, 1]
  assert all((t.boxes[:, 0] == 0).all() for t in found)
  assert len(track_scores.best(tracks, limit=1)) == 1
  assert [len(t.boxes) for t in track_scores.best(tracks, min_frames=4)] == []
  assert len(track_scores.best(tracks, min_agreement=0.0)) == 3


def test_a_track_is_kept_for_what_those_before_it_do_not_show():
  tracks = [
    _straight(0, 0, 10),
    _straight(2, 2, 8),  # Where the first is.
    _straight(2, 20, 8),  # Beside it: IoU 12 / 52.
    _straight(5, 0, 6),  # One frame longer, a sixth of it.
    _straight(5, 0, 11),  # Six frames longer.
  ]
  assert track_scores.distinct(tracks) == [0, 2, 3, 4]
  assert track_scores.distinct(tracks, new=0.2) == [0, 2, 4]
  assert track_scores.distinct(tracks, new=0.0) == [0, 1, 2, 3, 4]
  assert track_scores.distinct([]) == []


def test_what_two_tracks_show_together_a_third_need_not_show_again():
  tracks = [_straight(0, 0, 5), _straight(5, 0, 5), _straight(0, 0, 10)]
  assert track_scores.distinct(tracks) == [0, 1]


def test_fusing_takes_the_median_of_boxes_that_agree():
  lefts = (0.0, 2.0, 4.0, 90.0)
  found = track_scores.fused([_straight(0, left) for left in lefts])
  np.testing.assert_allclose(
    [t.boxes[0, 0] for t in found], [2.0, 2.0, 2.0, 90.0]
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
