"""Tests of tf_ssl.training.assembly."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.ops import optimizers
from tf_ssl.training import assembly, settings


class _Method(tf.keras.Model):
  """Learns one vector."""

  def __init__(self):
    super().__init__()
    self.vector = tf.Variable([1.0, 2.0], name="vector")

  @property
  def learned_variables(self):
    return [self.vector]


def _settings(**changes):
  return settings.Pretraining(
    **{
      "images": "photos/",
      "method": None,
      "recipe": recipes.moco_v2(),
      "image_size": 8,
      "batch_size": 4,
      "steps": 10,
      "learning_rate": 0.5,
      "schedule": lambda peak, steps: peak,
      **changes,
    }
  )


def _lamb(rate):
  addons = pytest.importorskip("tensorflow_addons")
  return addons.optimizers.LAMB(rate)


@pytest.mark.parametrize(
  ("optimizer", "slots"),
  [
    (optimizers.MomentumSgd, 1),
    (tf.keras.optimizers.AdamW, 2),
    (tf.keras.optimizers.legacy.Adam, 2),
    (_lamb, 2),
  ],
)
def test_any_keras_optimizer_trains_with_its_slots_made_before(
  optimizer, slots
):
  method = _Method()
  assembly.compile_method(_settings(optimizer=optimizer), method)
  before = method.vector.numpy()
  variables = method.optimizer.variables
  found = variables() if callable(variables) else variables
  assert sum(v.shape == [2] for v in found) == slots
  method.optimizer.apply_gradients([(tf.ones(2), method.vector)])
  assert np.all(method.vector.numpy() < before)
  assert int(method.optimizer.iterations) == 1


def test_the_rate_is_scaled_by_the_batch_and_given_to_the_schedule():
  seen = []
  changes = {
    "scale_learning_rate": True,
    "batch_size": 512,
    "schedule": lambda *values: seen.append(values) or 0.1,
  }
  assembly.compile_method(_settings(**changes), _Method())
  assert seen == [(1.0, 10)]


def test_half_precision_scales_the_loss():
  method = _Method()
  assembly.compile_method(_settings(precision="mixed_float16"), method)
  assert isinstance(
    method.optimizer, tf.keras.mixed_precision.LossScaleOptimizer
  )


@pytest.fixture(name="run")
def fixture_run(tmp_path):
  """A model_dir with one checkpoint."""
  manager = tf.train.CheckpointManager(
    tf.train.Checkpoint(step=tf.Variable(5)),
    str(tmp_path / "run" / "checkpoints"),
    max_to_keep=1,
    checkpoint_name="step",
  )
  manager.save(checkpoint_number=5)
  (tmp_path / "run" / "run.json").write_text(json.dumps({"data": {}}))
  return tmp_path / "run"


@pytest.mark.parametrize("part", [".", "checkpoints", "checkpoints/step-5"])
def test_a_checkpoint_is_found_from_the_run_its_folder_or_itself(run, part):
  model_dir, checkpoint = assembly.locate_checkpoint(str(run / part))
  assert model_dir == run.resolve()
  assert checkpoint.endswith("step-5")


def test_a_missing_checkpoint_or_run_is_named(run, tmp_path):
  with pytest.raises(errors.UsageError, match="nowhere.*--checkpoint"):
    assembly.locate_checkpoint(str(tmp_path / "nowhere"))
  (run / "run.json").unlink()
  with pytest.raises(errors.UsageError, match="run.json.*--checkpoint"):
    assembly.locate_checkpoint(str(run))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
