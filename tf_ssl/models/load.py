"""A model of any kind, by its path or by its name."""

import os
import re
from collections.abc import Callable

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import (
  encoder_models,
  image_model,
  keras_applications,
  keras_models,
  onnx_models,
  reader,
  saved_models,
  yardsticks,
)
from tf_ssl.models import preprocessing as preprocessing_lib

KINDS = (
  "a SavedModel's folder, a .keras, .h5 or .onnx file, a run of tf_ssl or one "
  "of its checkpoints, keras.applications:ResNet50[:imagenet|:random|:FILE.h5]"
  ", random:resnet50[:SEED], or pixels"
)


def load_model(
  spec: str,
  *,
  layer: str | None = None,
  preprocessing: str | None = None,
  image_size: int | None = None,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
) -> image_model.ImageModel:
  """Loads a model; no Python code of its file is run.

  Args:
    spec: "NAME=PATH" or "PATH"; instead of a path also
      "keras.applications:ResNet50" with ":imagenet" (the default; downloaded
      once), ":random" or ":FILE.h5" after it; "random:resnet50", an untrained
      encoder, or with its seed "random:resnet50:1"; "pixels", the image shrunk
      to 16x16 px.
    layer: what to read, by the file's own names; None chooses.
    preprocessing: a name of `preprocessing.BY_NAME`, over what the file says;
      needed where it says nothing.
    image_size: pixels a side that images are resized to for this model; None
      leaves them as they come, or resizes to the only size that it takes.
    restore_run: from the path of a run's directory, or of a checkpoint in it,
      to the run's encoder with its weights. It lies with the caller, because
      evaluation does not know how methods are built.

  Returns:
    The model, run once already.

  Raises:
    UsageError: nothing there, of no known kind, damaged, with code inside, or
      unable to make features of images.
  """
  name, path = split(spec)
  if preprocessing is not None:
    preprocessing_lib.by_name(preprocessing)  # before anything is loaded
  found = read(path, layer=layer, restore_run=restore_run)
  return image_model.ImageModel(
    name,
    found,
    path=path,
    preprocessing=preprocessing,
    image_size=image_size,
  )


def split(spec: str) -> tuple[str, str]:
  """Takes "NAME=PATH", or "PATH", apart; a path's last part is its name."""
  name, equals, path = spec.partition("=")
  if equals and re.fullmatch(r"[^/\\]*", name) and not os.path.exists(spec):
    if not name or not path:
      raise errors.UsageError(
        f"model {spec!r}: expected NAME=PATH, such as mine=exported/mine"
      )
    return name, path
  stem = os.path.basename(os.path.normpath(spec))
  return re.sub(r"\.(keras|h5|hdf5|onnx)$", "", stem), spec


def read(
  path: str,
  *,
  layer: str | None = None,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
) -> reader.Reader:
  """Reads a model of any kind; arguments and errors as `load_model`."""
  kind, _, rest = path.partition(":")
  if kind == "keras.applications":
    name, _, weights = rest.partition(":")
    return keras_applications.read(name, weights or "imagenet", layer=layer)
  if kind == "random" and not os.path.exists(path):
    return yardsticks.untrained(rest, layer=layer)
  if path == "pixels" and not os.path.exists(path):
    return yardsticks.pixels(layer=layer)
  if os.path.isfile(os.path.join(path, saved_models.MODEL_FILE)):
    return saved_models.read(path, layer=layer)
  suffix = os.path.splitext(path)[1].lower()
  if os.path.isfile(path):
    if suffix == ".onnx":
      return onnx_models.read(path, layer=layer)
    if suffix in (".keras", ".h5", ".hdf5"):
      return keras_models.read_file(path, layer=layer)
  if os.path.isdir(path) or os.path.isfile(f"{path}.index"):
    return _run(path, layer, restore_run)
  problem = "is of no known kind" if os.path.exists(path) else "is not there"
  raise errors.UsageError(f"model {path} {problem}; expected {KINDS}")


def _run(path: str, layer: str | None, restore_run) -> reader.Reader:
  if restore_run is None:
    raise errors.UsageError(
      f"model {path} is no SavedModel; if it is a run of tf_ssl, export it "
      "with tools.export_encoder and give what that writes"
    )
  folders = (path, os.path.join(path, "checkpoints"))
  if not os.path.isfile(f"{path}.index") and not any(
    map(tf.train.latest_checkpoint, folders)
  ):
    raise errors.UsageError(
      f"model {path} has neither {saved_models.MODEL_FILE} nor checkpoints of "
      f"a run; expected {KINDS}"
    )
  encoder = restore_run(path)
  digest = reader.weights_digest("tf_ssl run", encoder.get_weights())
  return encoder_models.of_encoder(encoder, "tf_ssl run", digest, layer=layer)
