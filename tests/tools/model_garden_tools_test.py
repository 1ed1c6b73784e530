"""The command line's side of Model Garden."""

import sys

import gin
import pytest
import tensorflow as tf
from absl import flags
from official.vision import train

from tf_ssl import errors
from tf_ssl.encoders import model_garden, resnet
from tf_ssl.export import saved_model
from tf_ssl.training import settings
from tools import export_weights, train_model_garden
from tools._cli import gin_files

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fixture_as_in_a_new_process():
  """Both gin and Model Garden's flags belong to the process."""
  yield
  for name in ("experiment", "mode", "model_dir", "config_file"):
    if name in flags.FLAGS:
      flags.FLAGS[name].unparse()
  flags.FLAGS.unparse_flags()
  gin.clear_config()
  gin.config._IMPORTS.clear()


def _train(*arguments):
  train_model_garden.TOOL.call(["--", *arguments])


def test_a_saved_model_becomes_what_model_gardens_trainer_is_given(
  tmp_path, monkeypatch
):
  encoder = resnet.resnet18(width=0.03125, stem="small")
  encoder(tf.zeros([1, 8, 8, 3]))
  path = str(tmp_path / "saved")
  saved_model.export_encoder(encoder, None, path, provenance={})
  exported = str(tmp_path / "a.ckpt")
  export_weights.TOOL.call([f"--checkpoint={path}", f"--output={exported}"])

  parsed = []
  monkeypatch.setattr(
    train,
    "_run_experiment_with_preemption_recovery",
    lambda params, model_dir: parsed.append((params, model_dir)),
  )
  _train(
    "--experiment=tf_ssl_retinanet_coco",
    "--mode=train",
    f"--model_dir={tmp_path}/run",
    f"--config_file={exported}/backbone.yaml",
    "--params_override=task.model.num_classes=7",
  )
  [(params, model_dir)] = parsed
  task = params.task
  assert model_dir == f"{tmp_path}/run"
  assert task.model.backbone.get().as_dict() == {
    "model_id": 18,
    "width": 0.03125,
    "stem": "small",
  }
  assert task.init_checkpoint == exported
  assert task.init_checkpoint_modules == "backbone"
  assert task.model.num_classes == 7


def test_flags_that_model_gardens_trainer_does_not_take_are_named():
  with pytest.raises(errors.UsageError, match="after --: .*experiment"):
    _train("--mode=train")
  with pytest.raises(errors.UsageError, match="Unknown command line flag 'a'"):
    _train("--experiment=b", "--mode=train", "--model_dir=c", "--a=1")


def test_the_config_pretrains_the_backbone_that_it_names(tmp_path):
  gin_files.load(
    ["gin_configs/pretrain/moco_v2_model_garden_folder.gin"],
    [
      f'IMAGES="{tmp_path}"',
      'BACKBONE="resnet"',
      'SETTINGS={"model_id": 10, "depth_multiplier": 0.0625}',
    ],
  )
  run = gin_files.configured(settings.Pretraining)()
  build = gin.query_parameter("moco.build_moco.encoder").scoped_configurable_fn
  encoder = build(dtype=None, name="backbone")
  assert isinstance(encoder, model_garden.GardenEncoder)
  assert encoder.config.get().model_id == 10
  assert run.image_size == 96
  groups = {
    layer.groups for layer in encoder.submodules if hasattr(layer, "groups")
  }
  assert 8 in groups


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
