"""Tests of the protocol of benchmarks.tracking."""

import argparse
import sys

import numpy as np
import pytest

from benchmarks import tracking, tracking_films
from tf_ssl import errors
from tf_ssl.video.tracking import track_quality


def _rows(precision, recall):
  """[V, O, 3, 3] qualities that are the same at 0.5, 1 and 2 s."""
  values = np.stack([precision, recall, np.ones_like(recall)], -1)
  return np.repeat(np.array(values, float)[:, :, None], 3, 2)


def test_a_threshold_is_chosen_without_the_video_that_is_left_out():
  # Option 1 is best for video 0 by far, option 0 for both others.
  precision = np.array([[0.1, 1.0], [0.6, 0.5], [0.6, 0.5]])
  rows = _rows(precision, precision)
  assert tracking._choice(rows, None) == 1
  assert tracking._choice(rows, 0) == 0
  assert tracking._choice(rows, 1) == 1


def test_a_video_without_pairs_counts_as_wrong():
  # Without pairs (NaN), option 0 would be perfect.
  precision = np.array([[np.nan, 0.6], [1.0, 0.6]])
  recall = np.array([[0.0, 0.6], [1.0, 0.6]])
  assert tracking._choice(_rows(precision, recall), None) == 1
  text = tracking.means(_rows(precision, recall)[:, 0])
  assert text.startswith("0.5 s: precision 0.50 ±")
  assert ", 1.00 of 1, recall 0.50 ±" in text


def test_a_model_of_links_does_not_see_the_video_that_is_left_out():
  rng = np.random.default_rng(0)
  examples = [
    (rng.normal(size=[50, 3]), rng.random(50) < 0.5) for _ in range(3)
  ]
  before = tracking.models_left_out(examples)
  examples[1] = (examples[1][0], ~examples[1][1])
  after = tracking.models_left_out(examples)
  assert after[1] == before[1]
  assert after[0] != before[0] and after[2] != before[2]


def test_the_score_is_calibrated_to_the_measured_precision():
  # Of tracks with the logits -1 and 1, a quarter and three quarters are right.
  counts = [
    [
      (-1.0, track_quality.PairQuality(40, 10, 40, 10)),
      (1.0, track_quality.PairQuality(40, 30, 40, 30)),
    ]
  ] * 3
  scale, offset = tracking._calibrated(counts)
  assert scale == pytest.approx(np.log(3), rel=0.15)
  assert offset == pytest.approx(0, abs=0.05)


def test_the_largest_of_several_true_tracks_counts(tmp_path):
  (tmp_path / "boxes").mkdir()
  head = "frame,track,xmin,ymin,xmax,ymax\n"
  (tmp_path / "boxes" / "a.csv").write_text(
    f"{head}0,7,0,0,4,4\n0,8,10,20,30,40\n1,7,0,0,4,4\n3,8,12,20,32,40\n"
  )
  assert tracking_films.true_boxes(tmp_path / "a.mp4", 2.0) == {
    0: [5, 10, 15, 20],
    3: [6, 10, 16, 20],
  }
  (tmp_path / "boxes" / "b.csv").write_text(
    "frame,xmin,ymin,xmax,ymax\n0,0,0,4,4\n1,,,,\n"
  )
  assert tracking_films.true_boxes(tmp_path / "b.mp4", 1.0) == {0: [0, 0, 4, 4]}


def test_a_video_without_boxes_is_one_line(tmp_path):
  with pytest.raises(errors.UsageError, match="its boxes are missing"):
    tracking_films.true_boxes(tmp_path / "c.mp4", 1.0)


def test_one_video_cannot_be_left_out(tmp_path):
  arguments = tracking_films.parse(argparse.ArgumentParser(), ["--rendered=1"])
  with pytest.raises(errors.UsageError, match="1 video: expected at least 2"):
    tracking_films.read(arguments, str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
