"""Reference lines and the config, read by TensorBoard's own readers."""

import math
import sys

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_multiplexer

from tf_ssl.training import tensorboard_notes


def test_the_line_and_the_curve_are_two_runs_of_one_tag(tmp_path):
  writer = tf.summary.create_file_writer(str(tmp_path))
  line = tensorboard_notes.ReferenceLine(
    str(tmp_path), "chance_level", tag="train/loss", value=math.log(5)
  )
  for step, loss in ((0, 1.7), (100, 1.2)):
    with writer.as_default(step=step):
      tf.summary.scalar("train/loss", loss)
    assert line.measure(step) == {}
  tensorboard_notes.write_config(writer, "SEED = 1\nSTEPS = 2")
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
