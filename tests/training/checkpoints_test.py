"""Tests of tf_ssl.training.checkpoints."""

import resource
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import optimizers
from tf_ssl.training import checkpoints as checkpoints_lib


class Model:
  """A variable of 400 kB and an optimizer."""

  def __init__(self):
    self.variable = tf.Variable(tf.zeros([100_000]))
    self.optimizer = optimizers.MomentumSgd(0.1)
    self.optimizer.build([self.variable])

  @property
  def checkpoint_roots(self):
    part = tf.Module()
    part.variable = self.variable
    return {"backbone": part}

  def step_to(self, step):
    self.optimizer.iterations.assign(step)
    self.variable.assign(tf.fill([100_000], float(step)))


def test_a_new_process_resumes_from_the_last_checkpoint(tmp_path):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  assert saved.restore() == 0
  saved.memory["window"] = {"steps": 2, "loss": 0.1 + 0.2}
  model.step_to(7)
  model.optimizer.velocities[0].assign(tf.fill([100_000], 0.5))
  saved.save()
  other = Model()
  restored = checkpoints_lib.Checkpoints(other, tmp_path)
  assert restored.restore() == 7
  assert restored.memory == {"window": {"steps": 2, "loss": 0.1 + 0.2}}
  np.testing.assert_array_equal(other.variable, model.variable)
  np.testing.assert_array_equal(other.optimizer.velocities[0][:2], [0.5, 0.5])


def test_recent_checkpoints_are_kept_and_a_step_is_saved_once(tmp_path):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path, keep=2)
  for step in (1, 2, 2, 3):
    model.step_to(step)
    saved.save()
  names = {p.name for p in tmp_path.glob("*.index")}
  assert names == {"step-2.index", "step-3.index"}
  assert saved.latest.endswith("step-3")


def test_the_best_is_kept_apart_from_the_last(tmp_path):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  values = {1: 0.3, 2: 0.5, 3: 0.4}
  improved = []
  for step, value in values.items():
    model.step_to(step)
    improved.append(saved.save_best(value))
  assert improved == [True, True, False]
  best = tf.train.latest_checkpoint(str(tmp_path / "best"))
  assert best.endswith("step-2")


def test_a_full_disk_leaves_the_previous_checkpoint_intact(tmp_path):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  model.step_to(1)
  saved.save()
  model.step_to(2)
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  try:
    with pytest.raises(errors.UsageError, match="--model_dir"):
      saved.save()
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  other = Model()
  restored = checkpoints_lib.Checkpoints(other, tmp_path)
  assert restored.restore() == 1
  np.testing.assert_array_equal(other.variable[:3], [1.0, 1.0, 1.0])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
