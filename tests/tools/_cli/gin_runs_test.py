"""Tests of tools._cli.gin_runs."""

import json
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import load
from tf_ssl.ops import pixels
from tf_ssl.training import assembly, settings
from tools._cli import gin_files, gin_runs

_CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.augment import recipes
from tf_ssl.encoders import resnet
from tf_ssl.methods import moco
from tf_ssl.training import settings

settings.Pretraining.images = "not/needed"
settings.Pretraining.method = @moco.build_moco
settings.Pretraining.recipe = @recipes.moco_v2()
settings.Pretraining.image_size = 8
settings.Pretraining.batch_size = 2
settings.Pretraining.steps = 5
settings.Pretraining.learning_rate = 0.1
moco.build_moco.encoder = @resnet.resnet18
moco.build_moco.queue_size = 4
resnet.resnet18.width = 0.03125
resnet.resnet18.stem = "small"
"""


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()


@pytest.fixture(name="run")
def fixture_run(tmp_path):
  """A run's directory as training leaves it, and its method."""
  (tmp_path / "operative_config.gin").write_text(_CONFIG)
  (tmp_path / "run.json").write_text(json.dumps({"data": {"count": 40}}))
  gin_files.load([str(tmp_path / "operative_config.gin")], [])
  configured = gin_files.configured(settings.Pretraining)()
  method = assembly.build_method(configured, num_images=40)
  for variable in method.encoder.trainable_variables:
    variable.assign_add(
      0.01 * tf.random.stateless_normal(variable.shape, [1, 2])
    )
  tf.train.CheckpointManager(
    tf.train.Checkpoint(**method.checkpoint_roots),
    str(tmp_path / "checkpoints"),
    max_to_keep=1,
    checkpoint_name="step",
  ).save(checkpoint_number=5)
  gin.clear_config()
  return tmp_path, method


def test_a_checkpoint_is_a_model_and_the_tools_own_config_stays(run):
  folder, method = run
  gin.parse_config(
    "from __gin__ import dynamic_registration\n"
    "from tf_ssl.encoders import resnet\n"
    "WIDTH = 0.5\n"
    "resnet.resnet18.width = %WIDTH\n"
    "resnet.resnet18.batch_norm = @resnet.resnet18\n"
  )
  before = gin.config_str()

  found = load.load_model(
    f"mine={folder}/checkpoints/step-5", restore_run=gin_runs.restore_encoder
  )

  assert gin.config_str() == before
  assert "WIDTH = 0.5" in before
  images = np.random.default_rng(0).integers(0, 256, [2, 8, 8, 3], np.uint8)
  expected = method(pixels.normalize(images), training=False)
  np.testing.assert_allclose(found.features(images), expected, atol=1e-5)
  assert found.description.kind == "tf_ssl run"
  assert found.description.preprocessing == "imagenet"
  with pytest.raises(errors.UsageError, match="C6"):
    load.load_model(
      f"{folder}/checkpoints/step-5",
      layer="C6",
      restore_run=gin_runs.restore_encoder,
    )


def test_a_folder_without_a_run_is_named(tmp_path):
  with pytest.raises(errors.UsageError, match="saved_model.pb"):
    load.load_model(str(tmp_path), restore_run=gin_runs.restore_encoder)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
