"""A trained encoder as what Model Garden's trainers start from.

The folder holds a TensorFlow checkpoint with the root `backbone`, which
`task.init_checkpoint` names and `init_checkpoint_modules: backbone` reads, and
`backbone.yaml`, which says both, and what the backbone is, to `--config_file`.
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
  """Writes the checkpoint and the config, all of it or nothing.

  Args:
    encoder: a built `resnet.ResNet`, or one of Model Garden's own backbones
      (`model_garden.GardenEncoder`).
    output_dir: the folder to make.
    overwrite: replace what stands at `output_dir`.

  Returns:
    output_dir.

  Raises:
    UsageError: an encoder that Model Garden cannot build, or something stands
      at `output_dir`, or it cannot be written.
  """
  network, config = _for_model_garden(encoder)
  with workdir.replacing_folder(output_dir, overwrite=overwrite) as partial:
    tf.train.Checkpoint(backbone=network).save(os.path.join(partial, "ckpt"))
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
  """The network that Model Garden builds, and the config that it builds it by.

  Raises:
    UsageError: it cannot.
  """
  if isinstance(encoder, model_garden.GardenEncoder):
    return encoder.network, encoder.config
  # a subclass (`foreign_resnet`) computes something else with its weights
  if type(encoder) is resnet.ResNet:
    for depth, layout in resnet.LAYOUTS.items():
      if (encoder.stack, encoder.blocks) == layout:
        config = model_garden_resnet.ResNetConfig(
          model_id=depth, width=encoder.width, stem=encoder.stem
        )
        return encoder, model_garden_resnet.Backbone(tf_ssl_resnet=config)
  raise errors.UsageError(
    f"this encoder ({type(encoder).__name__}) is none that Model Garden can "
    "build: expected a ResNet of torchvision's kind, "
    f"{', '.join(map(str, resnet.LAYOUTS))} layers deep, or one of Model "
    "Garden's own backbones; export a SavedModel instead (tools.export_encoder)"
  )
