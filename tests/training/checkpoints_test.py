"""Tests of tf_ssl.training.checkpoints."""

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


def test_a_full_disk_leaves_the_previous_checkpoint_intact(tmp_path, full_disk):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  model.step_to(1)
  saved.save()
  model.step_to(2)
  with pytest.raises(errors.UsageError, match="--model_dir"):
    with full_disk(100_000):
      saved.save()
  assert saved.saved_step == 1
  other = Model()
  restored = checkpoints_lib.Checkpoints(other, tmp_path)
  assert restored.restore() == 1
  np.testing.assert_array_equal(other.variable[:3], [1.0, 1.0, 1.0])


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


@pytest.mark.parametrize(
  "state", [None, b"", b"\0" * 100, b"\xff\xfe", b'model_checkpoint_path: "ste']
)
def test_the_text_file_of_tensorflow_is_not_needed(tmp_path, state):
  model = Model()
  model.step_to(1)
  checkpoints_lib.Checkpoints(model, tmp_path).save()
  (tmp_path / "checkpoint").unlink()
  if state is not None:
    (tmp_path / "checkpoint").write_bytes(state)
  again = Model()
  resumed = checkpoints_lib.Checkpoints(again, tmp_path)
  assert resumed.restore() == 1
  again.step_to(2)
  resumed.save()
  newest = tf.train.latest_checkpoint(str(tmp_path))
  assert newest == str(tmp_path / "step-2")


def test_lost_newer_checkpoints_are_named_with_the_reason(tmp_path, capsys):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  for step in (1, 2, 3):
    model.step_to(step)
    saved.save()
  (tmp_path / "step-3.index").unlink()
  (tmp_path / "step-2.index").write_bytes(b"")
  assert checkpoints_lib.Checkpoints(Model(), tmp_path).restore() == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith(f"resuming from {tmp_path / 'step-1'}")
  assert "step-2 is damaged (" in line and "step-3 has no index" in line
  assert (tmp_path / "step-2.index.damaged").exists()
  (tmp_path / "step-3.data-00000-of-00001").unlink()
  assert checkpoints_lib.Checkpoints(Model(), tmp_path).restore() == 1
  assert capsys.readouterr().err == ""


@pytest.mark.parametrize("saved_by", ["another size", "another part"])
def test_a_checkpoint_of_another_model_is_refused_and_stays(tmp_path, saved_by):
  model = Model()
  if saved_by == "another size":
    model.variable = tf.Variable(tf.zeros([3]))
  else:
    model.__class__ = type(
      "Other",
      (Model,),
      {"checkpoint_roots": {"head": tf.Module()}},
    )
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  for step in (1, 2):
    model.optimizer.iterations.assign(step)
    saved.save()
  before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
  with pytest.raises(errors.UsageError, match="step-2.*--model_dir"):
    checkpoints_lib.Checkpoints(Model(), tmp_path).restore()
  assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("left", ["data", "state", "damaged index", "empty"])
def test_remains_without_a_whole_checkpoint_are_an_error(tmp_path, left):
  model = Model()
  model.step_to(1)
  checkpoints_lib.Checkpoints(model, tmp_path).save()
  index = tmp_path / "step-1.index"
  if left == "empty":
    index.write_bytes(b"")
  elif left == "damaged index":
    index.rename(f"{index}.damaged")
  else:
    index.unlink()
  if left != "data":
    (tmp_path / "step-1.data-00000-of-00001").unlink()
  with pytest.raises(errors.UsageError, match=f"{tmp_path}.*--overwrite"):
    checkpoints_lib.Checkpoints(Model(), tmp_path).restore()


def test_the_best_checkpoint_is_offered_where_all_others_are_lost(tmp_path):
  model = Model()
  saved = checkpoints_lib.Checkpoints(model, tmp_path)
  model.step_to(1)
  saved.save()
  saved.save_best(0.5)
  (tmp_path / "step-1.index").unlink()
  with pytest.raises(errors.UsageError, match="best/step-1"):
    checkpoints_lib.Checkpoints(Model(), tmp_path).restore()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
