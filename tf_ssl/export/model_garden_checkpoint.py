"""Exports an encoder for Model Garden's trainers.

The folder has a TensorFlow checkpoint with the root `backbone`, and
`backbone.yaml` for `--config_file`, which sets `task.init_checkpoint`,
`init_checkpoint_modules: backbone` and the architecture of the backbone.
"""

import os

import tensorflow as tf
import yaml

from tf_ssl import errors
from tf_ssl.encoders import model_garden, model_garden_resnet, resnet
from tf_ssl.ops import workdir

CONFIG_FILE = "backbone.yaml"


def write(
  encoder: tf.keras.Model, output_dir: str, *, overwrite: bool = False
) -> str:
  """Writes the checkpoint and the configuration atomically.

  Args:
    encoder: built `resnet.ResNet`, or a backbone of Model Garden in a
      `model_garden.GardenEncoder`.
    output_dir: path of the folder.
    overwrite: whether to replace a file or folder at `output_dir`.

  Returns:
    output_dir.

  Raises:
    UsageError: Model Garden cannot build the encoder, or `output_dir` exists or
      cannot be written.
  """
  network, config = _for_model_garden(encoder)
  with workdir.replacing_folder(output_dir, overwrite=overwrite) as partial:
    with workdir.without_wildcards(partial) as writable:
      tf.train.Checkpoint(backbone=network).save(os.path.join(writable, "ckpt"))
    task = {
      "init_checkpoint": os.path.abspath(output_dir),
      "init_checkpoint_modules": "backbone",
      "model": {"backbone": config.as_dict()},
    }
    path = os.path.join(partial, CONFIG_FILE)
    with open(path, "w", encoding="utf-8") as file:
      yaml.safe_dump({"task": task}, file)
  return output_dir


def _for_model_garden(encoder):
  """The network, and the configuration from which Model Garden builds it."""
  if isinstance(encoder, model_garden.GardenEncoder):
    return encoder.network, encoder.config
  # A subclass (`foreign_resnet`) computes other features.
  if type(encoder) is resnet.ResNet:
    for depth, layout in resnet.LAYOUTS.items():
      if (encoder.stack, encoder.blocks) == layout:
        config = model_garden_resnet.ResNetConfig(
          model_id=depth, width=encoder.width, stem=encoder.stem
        )
        return encoder, model_garden_resnet.Backbone(tf_ssl_resnet=config)
  raise errors.UsageError(
    f"Model Garden cannot build this encoder ({type(encoder).__name__}): "
    f"expected torchvision's ResNet-{', '.join(map(str, resnet.LAYOUTS))}, or "
    "one of Model Garden's own backbones; export a SavedModel instead "
    "(tools.export_encoder)"
  )
