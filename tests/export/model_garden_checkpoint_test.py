"""Export of encoders for Model Garden's trainers."""

import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
import yaml
from official.core import exp_factory
from official.vision.configs import common
from official.vision.modeling.backbones import factory

from tf_ssl import errors
from tf_ssl.encoders import (
  model_garden,
  model_garden_resnet,
  resnet,
)
from tf_ssl.export import foreign_resnet, model_garden_checkpoint

SPECS = tf.keras.layers.InputSpec(shape=[None, None, None, 3])


def ours():
  encoder = resnet.resnet34(width=0.0625, stem="small")
  encoder(tf.zeros([1, 32, 32, 3]))
  return encoder


def theirs():
  return model_garden.backbone(
    kind="resnet", settings={"model_id": 10, "depth_multiplier": 0.0625}
  )


@pytest.mark.parametrize(
  ("build", "experiment"),
  [
    (ours, "tf_ssl_retinanet_coco"),
    (theirs, "retinanet_resnetfpn_coco"),
  ],
)
def test_the_config_builds_the_backbone_and_the_checkpoint_fills_it(
  tmp_path, build, experiment
):
  encoder = build()
  path = model_garden_checkpoint.write(encoder, str(tmp_path / "a.ckpt"))
  config = yaml.safe_load((tmp_path / "a.ckpt" / "backbone.yaml").read_text())
  model_garden_resnet.register_experiments()
  experiment = exp_factory.get_exp_config(experiment)
  experiment.override(config)  # As --config_file does.
  task = experiment.task
  assert task.init_checkpoint == path
  assert task.init_checkpoint_modules == "backbone"
  backbone = factory.build_backbone(
    SPECS, task.model.backbone, common.NormActivation()
  )
  moved = shutil.move(path, str(tmp_path / "elsewhere"))
  status = tf.train.Checkpoint(backbone=backbone).read(
    tf.train.latest_checkpoint(moved)
  )
  status.expect_partial().assert_existing_objects_matched()  # as the tasks do
  for mine, other in zip(backbone.weights, encoder.weights, strict=True):
    np.testing.assert_array_equal(mine, other)


def test_an_encoder_that_model_garden_cannot_build_is_refused(tmp_path):
  stack, blocks = resnet.LAYOUTS[18]
  settings = {"stack": stack, "width": 0.0625, "stem": "small"}
  settings["batch_norm"] = tf.keras.layers.BatchNormalization
  for encoder in (
    resnet.ResNet(blocks=(1, 1, 1, 1), **settings),
    foreign_resnet.ForeignResNet(
      difference=foreign_resnet.Difference(stem_relu=False),
      blocks=blocks,
      **settings,
    ),
  ):
    with pytest.raises(errors.UsageError, match=type(encoder).__name__):
      model_garden_checkpoint.write(encoder, str(tmp_path / "a.ckpt"))
  assert not [*tmp_path.iterdir()]


def test_an_existing_output_is_kept(tmp_path):
  (tmp_path / "kept").touch()
  with pytest.raises(errors.UsageError, match="overwrite"):
    model_garden_checkpoint.write(theirs(), str(tmp_path))
  assert [p.name for p in tmp_path.iterdir()] == ["kept"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
