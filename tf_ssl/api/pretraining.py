"""Pretraining in Python: the recipes of gin_configs/pretrain/*_folder.gin."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.api import sources
from tf_ssl.augment import jigsaw, multi_crop, recipes
from tf_ssl.encoders import batch_norm, heads, resnet
from tf_ssl.methods import moco, pirl, simclr, supervised
from tf_ssl.methods import multi_crop as multi_crop_methods
from tf_ssl.models import image_model, load
from tf_ssl.ops import optimizers
from tf_ssl.training import pretrain as pretrain_lib
from tf_ssl.training import settings as settings_lib
from tf_ssl.training import summary
from tf_ssl.training.monitors import (
  labeled,
  neighbors,
  projector,
  representation,
  views,
)


class PretrainedEncoder(summary.PretrainResult):
  """A run of `pretrain`, finished or interrupted."""

  def load(self) -> image_model.ImageModel:
    """Loads the encoder as a function from images to features."""
    return load.load_model(
      self.saved_model or self.model_dir, restore_run=sources.restore_run
    )

  def __repr__(self) -> str:
    return "\n".join(summary.lines(self))


class _Method(NamedTuple):
  """A method and its defaults.

  Attributes:
    config: name of the gin config with the same settings.
    builder: name of the method's builder in gin files.
    learning_rate: peak learning rate for a batch of 256.
    settings: builder of an encoder, queue size -> fields of `Pretraining`.
  """

  config: str
  builder: str
  learning_rate: float
  settings: Callable[[Callable, int | None], dict[str, Any]]


def _moco_v2(encoder, queue_size) -> dict[str, Any]:
  split = functools.partial(batch_norm.split, groups=8)
  return {
    "method": functools.partial(
      moco.build_moco,
      encoder=functools.partial(encoder, batch_norm=split),
      projection_head=heads.MlpHead,
      queue_size=queue_size,
      momentum=0.99,  # 0.999 suits ImageNet's number of steps.
      temperature=0.2,
    ),
    "recipe": recipes.moco_v2(),
  }


def _simclr(encoder, queue_size) -> dict[str, Any]:
  del queue_size
  synchronized = {"batch_norm": batch_norm.cross_replica}
  return {
    "method": functools.partial(
      simclr.build_simclr,
      encoder=functools.partial(encoder, **synchronized),
      projection_head=functools.partial(heads.BatchNormMlpHead, **synchronized),
      temperature=0.1,
    ),
    "recipe": recipes.simclr(),
  }


def _pirl(encoder, queue_size) -> dict[str, Any]:
  recipe = recipes.pirl(blur_probability=0.5)
  return {
    "method": functools.partial(
      pirl.build_pirl,
      encoder=encoder,
      projection_head=heads.MlpHead,
      num_negatives=queue_size,
      temperature=0.1,
      loss="info_nce",
    ),
    # Patches are as large in proportion as PIRL's 64 px of 224.
    "recipe": (
      recipe,
      jigsaw.pirl_patches(patch=recipe, cell_size=36, patch_size=28),
    ),
  }


def _supervised(encoder, queue_size) -> dict[str, Any]:
  del queue_size
  return {
    "method": functools.partial(supervised.build_supervised, encoder=encoder),
    "labels": "all",
    "recipe": recipes.supervised(),
    "schedule": functools.partial(
      optimizers.LearningRate, kind="step", drops=(0.333333, 0.666667)
    ),
  }


_METHODS: Mapping[str, _Method] = {
  "moco_v2": _Method("moco_v2_folder", "moco.build_moco", 0.03, _moco_v2),
  "simclr": _Method("simclr_folder", "simclr.build_simclr", 0.06, _simclr),
  "pirl": _Method("pirl_folder", "pirl.build_pirl", 0.03, _pirl),
  "supervised": _Method(
    "supervised_folder", "supervised.build_supervised", 0.1, _supervised
  ),
}
# Method -> gin fragment that adds small crops, and builder of the method.
_CROPS: Mapping[str, tuple[str, Callable]] = {
  "moco_v2": ("multi_crop", multi_crop_methods.build_multi_crop_moco),
  "simclr": ("multi_crop_simclr", multi_crop_methods.build_multi_crop_simclr),
  "pirl": ("multi_crop_pirl", multi_crop_methods.build_multi_crop_pirl),
}
# Argument of `run_settings` -> macro of the gin configs.
_MACROS = {
  "image_size": "IMAGE_SIZE",
  "batch_size": "BATCH_SIZE",
  "steps": "STEPS",
  "learning_rate": "LEARNING_RATE",
  "queue_size": "QUEUE_SIZE",
  "labeled_images": "LABELLED_IMAGES",
  "held_out_images": "HELD_OUT_IMAGES",
  "seed": "SEED",
  "deterministic": "DETERMINISTIC",
  "crops": "CROPS",
  "crop_size": "CROP_SIZE",
  "crop_area": "CROP_AREA",
}
_ENCODERS = ("resnet18", "resnet34", "resnet50")


def pretrain(
  images: sources.Images,
  model_dir: str | os.PathLike,
  *,
  method: str = "moco_v2",
  overwrite: bool = False,
  **settings: Any,
) -> PretrainedEncoder:
  """Pretrains an encoder on unlabeled images, as `tools.train` does.

  A second call with the same arguments resumes an interrupted run. The tools
  read the run as well as one of `tools.train`.

  >>> run = tf_ssl.pretrain(
  ...   "photos/train",
  ...   "runs/photos",
  ...   width=0.125,
  ...   image_size=32,
  ...   batch_size=8,
  ...   steps=2,
  ...   queue_size=4,
  ... )
  >>> run.finished, run.saved_model
  (True, 'runs/photos/saved_model')
  >>> run.load().features(np.zeros([1, 32, 32, 3], np.uint8)).shape
  (1, 64)

  Args:
    images: folder of images at any depth, a manifest, TFRecords or tfds:NAME;
      or an array [N, H, W, 3] uint8.
    model_dir: path of the run's folder.
    method: "moco_v2", "simclr", "pirl" or "supervised", which needs class
      folders.
    overwrite: whether an earlier run in `model_dir` is replaced.
    **settings: arguments of `run_settings`, such as encoder="resnet50",
      image_size=224, batch_size=256, steps=20000, labeled_images=PATH, seed=0,
      crops=6.

  Raises:
    UsageError: images, settings or the folder cannot be used.
    NonFiniteLossError: the loss is not finite.
  """
  images = sources.image_source(images, argument="images")
  chosen = run_settings(images, method, **settings)
  result = pretrain_lib.pretrain(
    chosen,
    model_dir=os.fspath(model_dir),
    overwrite=overwrite,
    operative_config=lambda: config_text(images, method, settings),
    command=f"tf_ssl.pretrain(..., model_dir={os.fspath(model_dir)!r})",
  )
  return PretrainedEncoder(*result)


def run_settings(
  images: str,
  method: str,
  *,
  encoder: str = "resnet18",
  width: float = 1.0,
  stem: str = "imagenet",
  image_size: int = 96,
  batch_size: int = 128,
  steps: int = 20_000,
  learning_rate: float | None = None,
  queue_size: int | None = None,
  crops: int = 0,
  crop_size: int = 96,
  crop_area: tuple[float, float] = (0.05, 0.14),
  labeled_images: str | None = None,
  held_out_images: str | None = None,
  **settings: Any,
) -> settings_lib.Pretraining:
  """The settings of a run, with the defaults of the *_folder.gin configs.

  Args:
    images: source of the training images.
    method: name of the method, as in `pretrain`.
    encoder: "resnet18", "resnet34" or "resnet50".
    width: factor of the encoder's numbers of channels.
    stem: "imagenet", or "small" for images of about 32 px.
    image_size: side of a view in px.
    batch_size: global batch size.
    steps: number of optimizer steps.
    learning_rate: peak learning rate for a batch of 256; None for the method's.
    queue_size: number of negatives of MoCo and PIRL; None depends on the number
      of images.
    crops: number of small crops of each image, from which MoCo, SimCLR and PIRL
      also learn (multi-crop).
    crop_size: side of a small crop in px.
    crop_area: smallest and largest area of a small crop, as a fraction of the
      image's. Defaults: SwAV's on ImageNet.
    labeled_images: class folders that vote in the kNN monitor.
    held_out_images: class folders that the kNN monitor classifies.
    **settings: further fields of `settings.Pretraining`, such as seed,
      deterministic, precision, monitors, checkpoint_every_steps.

  Raises:
    UsageError: unknown method or encoder, or a value out of range.
  """
  errors.require(
    method in _METHODS and encoder in _ENCODERS,
    f"method={method!r}, encoder={encoder!r}: expected a method of "
    f"{', '.join(_METHODS)} and an encoder of {', '.join(_ENCODERS)}",
  )
  build = functools.partial(getattr(resnet, encoder), width=width, stem=stem)
  found = _METHODS[method]
  rate = found.learning_rate if learning_rate is None else learning_rate
  values = {
    "images": images,
    "image_size": image_size,
    "batch_size": batch_size,
    "steps": steps,
    "learning_rate": rate,
    "scale_learning_rate": True,
    "monitors": [
      representation.Representation(),
      views.Views(),
      labeled.LabeledImages(train=labeled_images, test=held_out_images),
      neighbors.NearestNeighbors(
        images=labeled_images, queries=held_out_images
      ),
      projector.Projector(images=held_out_images),
    ],
  }
  values |= found.settings(build, queue_size)
  if crops:
    values |= _with_crops(method, values, crops, crop_size, crop_area)
  return settings_lib.Pretraining(**{**values, **settings})


def _with_crops(method, values, number, size, area) -> dict[str, Any]:
  """Method and recipe that have small crops in addition."""
  errors.require(
    method in _CROPS,
    f"crops={number} for method={method!r}: expected a method of"
    f" {', '.join(_CROPS)}, or crops=0",
  )
  recipe = values["recipe"]
  views = (recipe,) if hasattr(recipe, "finish") else recipe
  crops = multi_crop.crops(recipe=views[0], number=number, size=size, area=area)
  name = values["method"].func.__name__.removeprefix("build_")
  return {
    "method": functools.partial(_CROPS[method][1], **{name: values["method"]}),
    "recipe": (*views, crops),
  }


def config_text(images: str, method: str, settings: Mapping[str, Any]) -> str:
  """A gin config from which the tools rebuild the method of a run.

  Args:
    images: source of the training images.
    method: name of the method.
    settings: arguments of `run_settings`. Objects, such as monitors, become
      comments: the encoder does not depend on them.
  """
  known = dict(settings)
  encoder = known.pop("encoder", "resnet18")
  found = _METHODS[method]
  lines = [
    "# Written by tf_ssl.pretrain.",
    "from __gin__ import dynamic_registration",
    "from tf_ssl.encoders import resnet",
    f"from tf_ssl.methods import {found.builder.partition('.')[0]}",
    "from tf_ssl.training import settings",
    f'include "gin_configs/pretrain/{found.config}.gin"',
    *(
      [f'include "gin_configs/base/{_CROPS[method][0]}.gin"']
      if known.get("crops")
      else []
    ),
    f"IMAGES = {images!r}",
    f"{found.builder}.encoder = @resnet.{encoder}",
  ]
  for name, value in sorted(known.items()):
    if name in ("width", "stem"):
      name = f"resnet.{encoder}.{name}"
    elif name in _MACROS:
      name = _MACROS[name]
      if name == "QUEUE_SIZE" and method not in ("moco_v2", "pirl"):
        continue
      if name.startswith("CROP") and not known.get("crops"):
        continue
    else:
      name = f"settings.Pretraining.{name}"
    is_literal = isinstance(value, (bool, int, float, str, tuple, type(None)))
    lines.append(f"{'' if is_literal else '# '}{name} = {value!r}")
  return "\n".join(lines) + "\n"
