"""Our ResNet as a backbone of Model Garden's detectors."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from official.core import exp_factory, task_factory
from official.vision.configs import common
from official.vision.modeling.backbones import factory

from tf_ssl import errors
from tf_ssl.encoders import (
  heads,
  model_garden_resnet,
  resnet,
)

SPECS = tf.keras.layers.InputSpec(shape=[None, 64, 64, 3])
NARROW = {"model_id": 18, "width": 0.0625, "stem": "imagenet"}


def built(l2_regularizer=None, **settings):
  """What Model Garden's factory makes of our config."""
  config = model_garden_resnet.ResNetConfig(**{**NARROW, **settings})
  return factory.build_backbone(
    SPECS,
    model_garden_resnet.Backbone(tf_ssl_resnet=config),
    common.NormActivation(activation="swish", norm_epsilon=0.5),
    l2_regularizer,
  )


def trained(stem="imagenet"):
  """An encoder whose every weight and average is its own."""
  encoder = resnet.resnet18(width=0.0625, stem=stem)
  encoder(tf.zeros([1, 64, 64, 3]))
  rng = np.random.default_rng(3)
  for weight in encoder.weights:
    weight.assign(rng.uniform(0.1, 0.5, weight.shape))
  return encoder


def images():
  return np.random.default_rng(0).normal(size=[2, 64, 64, 3]).astype("f")


@pytest.mark.parametrize(
  ("stem", "levels"), [("imagenet", "2345"), ("small", "0123")]
)
def test_maps_are_the_endpoints_by_level(stem, levels):
  encoder, backbone = trained(stem), built(stem=stem)
  for mine, other in zip(backbone.weights, encoder.weights, strict=True):
    mine.assign(other)
  maps = backbone(images(), training=False)
  assert [*maps] == [*levels]
  expected = encoder.endpoints(images(), training=False).values()
  for (level, found), one in zip(maps.items(), expected, strict=True):
    np.testing.assert_allclose(found, one, rtol=1e-5)
    assert found.shape[1] == 64 // 2 ** int(level)
    assert backbone.output_specs[level].as_list() == [None, *found.shape[1:]]


def test_weight_decay_affects_only_kernels():
  backbone = built(l2_regularizer=tf.keras.regularizers.L2(0.5))
  kernels = [v.numpy() for v in backbone.variables if "kernel" in v.name]
  assert len(kernels) == 20
  np.testing.assert_allclose(
    sum(backbone.losses), sum(0.5 * (k**2).sum() for k in kernels), rtol=1e-4
  )


@pytest.mark.parametrize(
  ("experiment", "small"),
  [
    (
      "tf_ssl_retinanet_coco",
      {"max_level": 5, "head": {"num_convs": 1, "num_filters": 8}},
    ),
    (
      "tf_ssl_maskrcnn_coco",
      {
        "max_level": 5,
        "rpn_head": {"num_filters": 8},
        "detection_head": {"num_convs": 1, "num_filters": 8, "fc_dims": 8},
        "mask_head": {"num_convs": 1, "num_filters": 8},
      },
    ),
  ],
)
def test_model_gardens_tasks_start_from_a_checkpoint_of_a_run(
  tmp_path, experiment, small
):
  model_garden_resnet.register_experiments()
  encoder = trained()
  run = tf.train.Checkpoint(  # the roots of ours, and of the training
    backbone=encoder,
    projection_head=heads.LinearHead(),
    step=tf.Variable(7),
  )
  path = run.save(str(tmp_path / "step"))
  config = exp_factory.get_exp_config(experiment).task
  config.override(
    {
      "init_checkpoint": path,
      "model": {
        "num_classes": 3,
        "input_size": [64, 64, 3],
        "backbone": {"tf_ssl_resnet": NARROW},
        "decoder": {"fpn": {"num_filters": 8}},
        **small,
      },
    }
  )
  task = task_factory.get_task(config)
  model = task.build_model()
  before = {level: m.numpy() for level, m in model.backbone(images()).items()}
  task.initialize(model)
  for mine, ours in zip(model.backbone.weights, encoder.weights, strict=True):
    np.testing.assert_array_equal(mine, ours)
  after = model.backbone(images(), training=False)
  expected = encoder.endpoints(images(), training=False)
  for level, name in zip("2345", resnet.STAGE_NAMES, strict=True):
    np.testing.assert_allclose(after[level], expected[name], rtol=1e-5)
    assert np.abs(after[level] - before[level]).max() > 0.1


def test_the_experiments_differ_from_model_gardens_only_in_the_backbone():
  model_garden_resnet.register_experiments()
  ours = exp_factory.get_exp_config("tf_ssl_maskrcnn_coco").as_dict()
  theirs = exp_factory.get_exp_config("maskrcnn_resnetfpn_coco").as_dict()
  backbone = ours["task"]["model"].pop("backbone")
  assert backbone == {
    "type": "tf_ssl_resnet",
    "tf_ssl_resnet": {"model_id": 50, "width": 1.0, "stem": "imagenet"},
  }
  del theirs["task"]["model"]["backbone"]
  for experiment in (ours, theirs):
    assert experiment["task"].pop("init_checkpoint_modules") == "backbone"
  assert ours["task"].pop("init_checkpoint") is None
  del theirs["task"]["init_checkpoint"]
  assert ours == theirs


def test_an_unknown_depth_is_named():
  with pytest.raises(errors.UsageError, match="model_id=19.*18, 34, 50"):
    built(model_id=19)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
