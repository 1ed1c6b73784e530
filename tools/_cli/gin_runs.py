"""Reads other gin configs than the tool's own, which stays in force.

Tools that read models build each one from its run's config; run_experiment
reads the configs of the tools it runs.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import gin

from tf_ssl import errors

from . import gin_files

if TYPE_CHECKING:  # TensorFlow is imported when a tool starts its work.
  import tensorflow as tf

  from tf_ssl.methods import base


def restore_encoder(path: str) -> "tf.keras.Model":
  """Returns the encoder of `restore`, for `tf_ssl.models.load`."""
  return restore(path)[0].encoder


def restore(
  path: str,
) -> "tuple[base.ContrastiveModel, pathlib.Path, str]":
  """Builds the method of a run and loads its weights, without its images.

  Args:
    path: path of the run's model_dir (its newest checkpoint), or of one of its
      checkpoints.

  Returns:
    The method, the model_dir, and the path of the checkpoint.

  Raises:
    UsageError: there is no run or no checkpoint at `path`, or the run has no
      config.
  """
  from tf_ssl.training import assembly, run_directory, settings

  model_dir, _ = assembly.locate_checkpoint(path)
  config = model_dir / run_directory.CONFIG_FILE
  if not config.is_file():
    raise errors.UsageError(
      f"{path}: the run {model_dir} has no {run_directory.CONFIG_FILE}, which "
      "describes its encoder; copy that file, or all of model_dir, to the "
      "checkpoints"
    )
  with _own_config():
    gin_files.load([str(config)], [], of_run=True)
    run_settings = gin_files.configured(settings.Pretraining)()
    return assembly.restore_method(run_settings, path)


def images_of(path: str) -> str | None:
  """Training images of the run that a model belongs to.

  Args:
    path: path of a run's model_dir, of its saved_model, or of any model.

  Returns:
    The image source as its config names it; None for a model without a run, or
    if the images are made by a function.
  """
  from tf_ssl.training import run_directory, settings

  folder = pathlib.Path(path).absolute()
  for model_dir in (folder, folder.parent):
    config = model_dir / run_directory.CONFIG_FILE
    if config.is_file() and (model_dir / run_directory.RUN_FILE).is_file():
      with _own_config():
        gin_files.load([str(config)], [], of_run=True)
        images = gin_files.configured(settings.Pretraining)().images
      return images if isinstance(images, str) else None
  return None


def config_text(file: str, bindings: Sequence[str]) -> str:
  """Returns a config as gin prints it, without the file's comments.

  Args:
    file: path of a gin file, as of --gin_file.
    bindings: lines as of --gin_bindings.

  Raises:
    UsageError: the config cannot be read; see `gin_files.load`.
  """
  with _own_config():
    gin_files.load([file], bindings)
    return gin.config_str()


@contextlib.contextmanager
def _own_config() -> Iterator[None]:
  """Empties gin's config inside the block, and restores it afterwards."""
  before = gin.config_str()
  gin.clear_config()
  try:
    yield
  finally:
    gin.clear_config()
    gin.parse_config(before)
