"""Other configurations than the tool's own, which stays as it is meanwhile.

A helper of tools that read models, each built as its run's config says, and of
those that run other tools.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import gin

from tf_ssl import errors

from . import gin_files

if TYPE_CHECKING:  # TensorFlow is imported when a tool starts its work
  import tensorflow as tf

  from tf_ssl.methods import base


def restore_encoder(path: str) -> "tf.keras.Model":
  """The encoder of `restore`, for `tf_ssl.models.load`."""
  return restore(path)[0].encoder


def restore(
  path: str,
) -> "tuple[base.ContrastiveModel, pathlib.Path, str]":
  """Builds a run's method and loads its weights, without its images.

  Args:
    path: the run's model_dir (its newest checkpoint), or one checkpoint of it.

  Returns:
    The method, the model_dir, and the path of the checkpoint.

  Raises:
    UsageError: no run or no checkpoint at `path`, or none that says how its
      encoder is built.
  """
  from tf_ssl.training import assembly, run_directory, settings

  model_dir, _ = assembly.locate_checkpoint(path)
  config = model_dir / run_directory.CONFIG_FILE
  if not config.is_file():
    raise errors.UsageError(
      f"{path}: the run {model_dir} has no {run_directory.CONFIG_FILE}, which "
      "says how its encoder is built; copy the whole model_dir, or that file, "
      "beside the checkpoints"
    )
  with _own_config():
    gin_files.load([str(config)], [])
    run_settings = gin_files.configured(settings.Pretraining)()
    return assembly.restore_method(run_settings, path)


def config_text(file: str, bindings: Sequence[str]) -> str:
  """A configuration as it is after parsing; its own comments do not matter.

  Args:
    file: as of --gin_file.
    bindings: as of --gin_bindings.

  Raises:
    UsageError: as `gin_files.load`.
  """
  with _own_config():
    gin_files.load([file], bindings)
    return gin.config_str()


@contextlib.contextmanager
def _own_config() -> Iterator[None]:
  """Inside, gin has no settings; after it, those that it had before."""
  kept = gin.config
  before = [
    (values, values.copy())
    for values in (
      kept._CONFIG,
      kept._OPERATIVE_CONFIG,
      kept._IMPORTS,
      kept._SINGLETONS,
    )
  ]
  locked = gin.config_is_locked()
  gin.clear_config()
  try:
    yield
  finally:
    gin.clear_config()
    for values, old in before:
      values.update(old)
    kept._set_config_is_locked(locked)
