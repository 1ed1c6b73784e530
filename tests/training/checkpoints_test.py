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


def test_a_folder_with_wildcards_in_its_name_resumes_and_drops_old_ones(
  tmp_path,
):
  folder = tmp_path / "a[1]*?"
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, folder, keep=2)
  for step in (1, 2, 3):
    model.step_to(step)
    saved.save()
  assert sorted(p.name for p in folder.glob("*.index")) == [
    "step-2.index",
    "step-3.index",
  ]
  other = Model()
  assert checkpoints_lib.Checkpoints(other, folder).restore() == 3
  np.testing.assert_array_equal(other.variable, np.full(100_000, 3.0))


@pytest.mark.parametrize("how", ["lost", "cut", "empty", "data", "state"])
def test_a_damaged_newest_checkpoint_falls_back_to_a_complete_one(
  tmp_path, how
):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  for step in (1, 2):
    model.step_to(step)
    saved.save()
  index = tmp_path / "step-2.index"
  data = tmp_path / "step-2.data-00000-of-00001"
  if how == "lost":
    index.unlink()
  elif how == "cut":
    index.write_bytes(index.read_bytes()[:50])
  elif how == "empty":
    index.write_bytes(b"")
  elif how == "data":
    data.write_bytes(data.read_bytes()[:1000])
  else:
    (tmp_path / "checkpoint").write_text("model_check")
  again = Model()
  resumed = checkpoints_lib.Checkpoints(again, tmp_path)
  expected = 2 if how == "state" else 1
  assert resumed.restore() == expected
  np.testing.assert_array_equal(again.variable, np.full(100_000, expected))
  again.step_to(5)
  resumed.save()
  assert checkpoints_lib.Checkpoints(Model(), tmp_path).restore() == 5


def test_files_of_checkpoints_without_a_complete_one_are_an_error(tmp_path):
  model = Model()
  model.step_to(1)
  checkpoints_lib.Checkpoints(model, tmp_path).save()
  (tmp_path / "step-1.index").unlink()
  with pytest.raises(errors.UsageError, match=str(tmp_path)):
    checkpoints_lib.Checkpoints(Model(), tmp_path).restore()
