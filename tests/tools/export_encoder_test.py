"""From a run's directory to a SavedModel, by the command line."""

import json
import shutil
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import load
from tf_ssl.ops import pixels
from tf_ssl.training import assembly, settings
from tools import export_encoder
from tools._cli import gin_files

_CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.augment import recipes
from tf_ssl.encoders import resnet
from tf_ssl.methods import moco
from tf_ssl.training import settings

SEED = 3

settings.Pretraining.images = "not/needed"
settings.Pretraining.method = @moco.build_moco
settings.Pretraining.recipe = @recipes.moco_v2()
settings.Pretraining.image_size = 8
settings.Pretraining.batch_size = 2
settings.Pretraining.steps = 5
settings.Pretraining.learning_rate = 0.1
settings.Pretraining.seed = %SEED
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


@pytest.fixture(scope="module", name="run")
def fixture_run(tmp_path_factory):
  """A run's directory as training leaves it, and its method."""
  model_dir = tmp_path_factory.mktemp("run")
  (model_dir / "operative_config.gin").write_text(_CONFIG)
  (model_dir / "run.json").write_text(json.dumps({"data": {"count": 40}}))
  (model_dir / "metrics.jsonl").write_text('{"step": 5, "loss": 1.5}\n')
  gin.clear_config()
  gin_files.load([str(model_dir / "operative_config.gin")], [])
  configured = gin_files.configured(settings.Pretraining)()
  method = assembly.build_method(configured, num_images=40)
  for variable in method.encoder.trainable_variables:
    noise = tf.random.stateless_normal(variable.shape, [1, 2])
    variable.assign_add(0.01 * noise)
  tf.train.CheckpointManager(
    tf.train.Checkpoint(**method.checkpoint_roots),
    str(model_dir / "checkpoints"),
    max_to_keep=1,
    checkpoint_name="step",
  ).save(checkpoint_number=5)
  return model_dir, method


def _export(**arguments):
  export_encoder.TOOL.call([f"--{k}={v}" for k, v in arguments.items()])


def test_the_run_directory_is_enough(run, tmp_path, capsys):
  model_dir, method = run
  output = tmp_path / "out" / "encoder"

  _export(checkpoint=model_dir, output=output)

  loaded = tf.saved_model.load(str(output))
  images = np.random.default_rng(0).integers(0, 256, [2, 8, 8, 3])
  images = images.astype(np.uint8)
  expected = method(pixels.normalize(images), training=False)
  np.testing.assert_allclose(loaded.features(images), expected, atol=1e-5)
  provenance = json.loads((output / "provenance.json").read_text())
  assert provenance["metrics"]["loss"] == {"value": 1.5, "step": 5}
  assert provenance["operative_config"] == _CONFIG
  assert provenance["checkpoint"].endswith("checkpoints/step-5")
  assert "step-5 to " in capsys.readouterr().out


def test_a_single_checkpoint_is_found_in_its_run(run, tmp_path, monkeypatch):
  checkpoints = []
  monkeypatch.setattr(
    "tf_ssl.export.saved_model.export_encoder",
    lambda *_, provenance, **__: checkpoints.append(provenance["checkpoint"]),
  )
  model_dir, _ = run
  _export(checkpoint=model_dir / "checkpoints" / "step-5", output=tmp_path)
  assert checkpoints == [str(model_dir / "checkpoints" / "step-5")]


def test_paths_with_wildcards_are_read_and_written(run, tmp_path):
  model_dir, method = run
  moved = tmp_path / "a[1]*?"
  shutil.copytree(model_dir, moved)
  output = tmp_path / "out[2]" / "e[*]"
  _export(checkpoint=moved, output=output)
  images = np.full([2, 8, 8, 3], 7, np.uint8)
  expected = method(pixels.normalize(images), training=False)
  found = load.load_model(f"e={output}").features(images)
  np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("damage", ["index", "data", "another model"])
def test_a_checkpoint_that_cannot_be_restored_is_named(run, tmp_path, damage):
  moved = tmp_path / "run"
  shutil.copytree(run[0], moved)
  if damage == "another model":
    config = moved / "operative_config.gin"
    config.write_text(_CONFIG.replace("width = 0.03125", "width = 0.0625"))
  else:
    (path,) = (moved / "checkpoints").glob(f"step-5.{damage}*")
    path.write_bytes(path.read_bytes()[:30])
  with pytest.raises(errors.UsageError, match=f"{moved}/checkpoints/step-5"):
    _export(checkpoint=moved, output=tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_kept(run, tmp_path):
  (tmp_path / "file").write_text("kept")
  with pytest.raises(errors.UsageError, match="overwrite"):
    _export(checkpoint=run[0], output=tmp_path)
  assert (tmp_path / "file").read_text() == "kept"


def test_what_is_missing_is_named(run, tmp_path):
  with pytest.raises(errors.UsageError, match="--output=... is missing"):
    _export(checkpoint=tmp_path)
  with pytest.raises(errors.UsageError, match="no checkpoint at .*nowhere"):
    _export(checkpoint=tmp_path / "nowhere", output=tmp_path / "out")
  model_dir = tmp_path / "run"
  shutil.copytree(run[0], model_dir)
  (model_dir / "operative_config.gin").unlink()
  with pytest.raises(errors.UsageError, match="has no operative_config.gin"):
    _export(checkpoint=model_dir, output=tmp_path / "out")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
