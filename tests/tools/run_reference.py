"""A run's directory as training leaves it, without training."""

import json

import gin
import tensorflow as tf

from tf_ssl.training import assembly, settings
from tools._cli import gin_files

CONFIG = """
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


def write(model_dir):
  """Writes a run of 5 steps into the folder and returns its method."""
  (model_dir / "operative_config.gin").write_text(CONFIG)
  (model_dir / "run.json").write_text(json.dumps({"data": {"count": 40}}))
  gin.clear_config()
  gin_files.load([str(model_dir / "operative_config.gin")], [])
  configured = gin_files.configured(settings.Pretraining)()
  method = assembly.build_method(configured, num_images=40)
  gin.clear_config()
  for variable in method.encoder.trainable_variables:
    noise = tf.random.stateless_normal(variable.shape, [1, 2])
    variable.assign_add(0.01 * noise)
  tf.train.CheckpointManager(
    tf.train.Checkpoint(**method.checkpoint_roots),
    str(model_dir / "checkpoints"),
    max_to_keep=1,
    checkpoint_name="step",
  ).save(checkpoint_number=5)
  return method
