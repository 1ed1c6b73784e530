"""Tests of tf_ssl.video.tracking.track_quality by hand-made tracks."""

import csv
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.video.tracking import track_quality, tracker

ON, OFF = [0.0, 0, 10, 10], [50.0, 50, 60, 60]


def _track(start, boxes):
  ones = np.ones(len(boxes), np.float32)
  return tracker.Track(start, np.array(boxes, np.float32), ones, ones)


def test_a_track_that_leaves_the_object_makes_a_wrong_pair():
  truth = dict.fromkeys(range(4), ON)
  tracks = [_track(0, [ON, ON, OFF, OFF])]
  found = track_quality.pair_quality(tracks, truth, lag=1)
  # 0-1 is right, 1-2 is wrong, 2-3 does not begin on the object.
  assert found == (2, 1, 3, 1)
  assert found.precision == 1 / 2
  assert found.recall == 1 / 3


def test_two_right_tracks_are_two_pairs_of_one_frame():
  truth = dict.fromkeys(range(3), ON)
  found = track_quality.pair_quality(
    [_track(0, [ON, ON]), _track(0, [ON, ON, ON])], truth, lag=1
  )
  assert found == (3, 3, 2, 2)


def test_frames_without_the_object_do_not_count():
  truth = {0: ON, 2: ON, 3: ON}
  found = track_quality.pair_quality([_track(0, [ON] * 4)], truth, lag=1)
  assert found == (1, 1, 1, 1)


def test_an_overlap_of_exactly_one_half_is_on_the_object():
  truth = dict.fromkeys(range(2), ON)
  half = [0.0, 0, 10, 5]
  found = track_quality.pair_quality([_track(0, [half, half])], truth, lag=1)
  assert found == (1, 1, 1, 1)


def test_without_pairs_precision_is_not_a_number_and_recall_is_zero():
  found = track_quality.pair_quality(
    [_track(1, [OFF, OFF])], dict.fromkeys(range(4), ON), lag=3
  )
  assert np.isnan(found.precision)
  assert found.recall == 0


def test_a_lag_of_nothing_is_refused():
  with pytest.raises(errors.UsageError, match="lag=0: expected at least 1"):
    track_quality.pair_quality([], {}, lag=0)


def test_true_boxes_score_one_and_still_boxes_as_measured(shared_data):
  files = sorted(shared_data.glob("videos/davis2016/boxes/*.csv"))
  assert len(files) == 10
  still = []
  for path in files:
    with path.open() as lines:
      truth = {
        int(row["frame"]): [
          float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")
        ]
        for row in csv.DictReader(lines)
        if row["xmin"]
      }
    frames = range(max(truth) + 1)
    right = _track(0, [truth.get(t, OFF) for t in frames])
    found = track_quality.pair_quality([right], truth, lag=24)
    assert found.precision == found.recall == 1
    held = [
      _track(t, [box] * min(25, len(frames) - t)) for t, box in truth.items()
    ]
    found = track_quality.pair_quality(held, truth, lag=24)
    assert found.frames > 0
    still.append(
      sum(
        track_quality.pair_quality([one], truth, lag=24).found for one in held
      )
      / found.frames
    )
  assert 0.3 < np.mean(still) < 0.6  # Objects move, but do not all run.


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
