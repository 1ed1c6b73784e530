"""Tests of tf_ssl.training.monitors.notes, with TensorBoard's own readers."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_multiplexer

from tf_ssl.training.monitors import notes


def test_the_line_and_the_curve_are_two_runs_of_one_tag(tmp_path):
  writer = tf.summary.create_file_writer(str(tmp_path))
  line = notes.ReferenceLine(
    str(tmp_path), "chance_level", tag="train/loss", value=math.log(5)
  )
  for step, loss in ((0, 1.7), (100, 1.2)):
    with writer.as_default(step=step):
      tf.summary.scalar("train/loss", loss)
    line.draw(step)
  notes.write_config(writer, "SEED = 1\nSTEPS = 2")
  writer.close()

  runs = event_multiplexer.EventMultiplexer()
  runs.AddRunsFromDirectory(str(tmp_path)).Reload()

  assert set(runs.Runs()) == {".", "chance_level"}
  assert len(runs.Tensors(".", "train/loss")) == 2
  points = runs.Tensors("chance_level", "train/loss")
  assert [point.step for point in points] == [0, 100]
  for point in points:
    height = float(tf.make_ndarray(point.tensor_proto))
    assert height == pytest.approx(math.log(5))
  (text,) = runs.Tensors(".", "config/operative")
  assert tf.make_ndarray(text.tensor_proto) == b"    SEED = 1\n    STEPS = 2"


def test_the_number_of_tracks_per_video_is_drawn_with_its_mean(tmp_path):
  writer = tf.summary.create_file_writer(str(tmp_path))
  notes.write_tracks(writer, np.array([3, 5, 4, 3, 0]))
  writer.close()

  runs = event_multiplexer.EventMultiplexer()
  runs.AddRunsFromDirectory(str(tmp_path)).Reload()

  (mean,) = runs.Tensors(".", "tracks/per_video_mean")
  assert float(tf.make_ndarray(mean.tensor_proto)) == pytest.approx(3.0)
  (histogram,) = runs.Tensors(".", "tracks/per_video")
  assert (mean.step, histogram.step) == (0, 0)
  buckets = tf.make_ndarray(histogram.tensor_proto)  # left, right, count
  np.testing.assert_array_equal(buckets[:, 2], [1, 0, 0, 2, 1, 1])


def test_equal_videos_share_one_bucket(tmp_path):
  writer = tf.summary.create_file_writer(str(tmp_path))
  notes.write_tracks(writer, np.array([4, 4, 4]))
  writer.close()
  runs = event_multiplexer.EventMultiplexer()
  runs.AddRunsFromDirectory(str(tmp_path)).Reload()
  (histogram,) = runs.Tensors(".", "tracks/per_video")
  assert tf.make_ndarray(histogram.tensor_proto)[:, 2].sum() == 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
