"""Loads models of any kind by path or name."""

import os
import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.export import weight_files
from tf_ssl.models import (
  encoder_models,
  image_model,
  keras3_files,
  keras_file,
  keras_models,
  layers,
  onnx_models,
  preprocessing_check,
  reader,
  saved_models,
  torch_models,
)
from tf_ssl.models import preprocessing as preprocessing_lib
from tf_ssl.ops import names as names_lib

KINDS = (
  "a folder with a SavedModel, a .keras, .h5 or .onnx file, a run of tf_ssl or "
  "one of its checkpoints, keras.applications:ResNet50[:imagenet|:random|"
  ":FILE.h5], random:resnet50[:SEED], pixels, or a PyTorch model: "
  f"{torch_models.FORMS}"
)


def load_model(
  spec: str,
  *,
  layer: str | None = None,
  preprocessing: str | None = None,
  image_size: int | None = None,
  check_preprocessing: bool = False,
  photos: np.ndarray | None = None,
  torch_python: str | None = None,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
) -> image_model.ImageModel:
  """Loads a model without running Python code from its file.

  Args:
    spec: "NAME=PATH" or "PATH". Instead of a path:
      "keras.applications:ResNet50", followed by ":imagenet" (the default,
      downloaded once), ":random" or ":FILE.h5"; "random:resnet50" or
      "random:resnet50:SEED", an untrained encoder; "pixels", the image resized
      to 16x16 px; or a PyTorch model, see `torch_models.read`.
    layer: layer to read, by the file's own names; None chooses the input of
      the classifier.
    preprocessing: name in `preprocessing.BY_NAME`; overrides the file, and is
      required if the file does not specify it.
    image_size: side in px of the square that images are resized to; None keeps
      their size, or resizes to the only size that the model accepts.
    check_preprocessing: whether to verify the preprocessing, or to find it if
      the file does not specify it; see `preprocessing_check.checked`.
    photos: natural images [N, H, W, 3], 0..255, to check it with; None for
      noise.
    torch_python: path of a Python with PyTorch, as in `torch_models.read`.
    restore_run: path of a run's directory, or of a checkpoint in it -> the
      run's encoder with its weights. An argument because `models` does not
      know how methods are built.

  Returns:
    The model, after one test run.

  Raises:
    UsageError: the model is missing, of an unknown kind, damaged, contains
      code, or does not compute features of images.
  """
  name, path = split(spec)
  if preprocessing is not None:
    preprocessing_lib.by_name(preprocessing)  # Fails before anything is loaded.
  found = read(
    path, layer=layer, torch_python=torch_python, restore_run=restore_run
  )
  if check_preprocessing:
    found = preprocessing_check.checked(
      found,
      name=name,
      preprocessing=preprocessing,
      image_size=image_size,
      photos=photos,
    )
  return image_model.ImageModel(
    name,
    found,
    path=path,
    preprocessing=preprocessing,
    image_size=image_size,
  )


def load_models(
  specs: Sequence[str],
  *,
  layer: Sequence[str] = (),
  preprocessing: Sequence[str] = (),
  image_size: int | None = None,
  check_preprocessing: bool = False,
  photos: np.ndarray | None = None,
  torch_python: str | None = None,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
  least_width: int = 1,
) -> list[image_model.ImageModel | layers.LayerModel]:
  """Loads several models with distinct names.

  Args:
    specs: "NAME=PATH" or "PATH" of each model, as in `load_model`.
    layer: layers to read: "LAYER" for all models, "NAME=LAYER" for one. Several
      layers of a model, "LAYER,LAYER" or "*" for all, become one model each,
      NAME LAYER. One pass computes them where the format allows it; otherwise
      each of the named layers has its own.
    preprocessing: names in `preprocessing.BY_NAME`: "VALUE" for all models,
      "NAME=VALUE" for one.
    image_size: side in px that images are resized to, as in `load_model`.
    check_preprocessing: whether to verify it, as in `load_model`.
    photos: natural images to check it with, as in `load_model`.
    torch_python: path of a Python with PyTorch, as in `torch_models.read`.
    restore_run: restores the encoder of a run, as in `load_model`.
    least_width: smallest number of units of a layer that "*" stands for.

  Returns:
    The models in the order of `specs` and of their layers.

  Raises:
    UsageError: no model, two models with one name, an option for an unknown
      model, or an error of `load_model`.
  """
  names = [split(spec)[0] for spec in specs]
  check_names(names)
  chosen = _per_model("layer", layer, names)
  preprocessings = _per_model("preprocessing", preprocessing, names)
  options = {
    "image_size": image_size,
    "check_preprocessing": check_preprocessing,
    "photos": photos,
    "torch_python": torch_python,
    "restore_run": restore_run,
  }
  models = []
  for name, spec in zip(names, specs, strict=True):
    given = options | {"preprocessing": preprocessings[name]}
    wanted = chosen[name]
    if wanted == layers.ALL or "," in (wanted or ""):
      models += _load_layers(
        spec, wanted.split(","), least_width=least_width, **given
      )
    else:
      models.append(load_model(spec, layer=wanted, **given))
  return models


def _load_layers(
  spec: str,
  wanted: Sequence[str],
  *,
  least_width: int,
  **options,
) -> list[image_model.ImageModel | layers.LayerModel]:
  """Loads several layers of a model, in one pass where that is possible."""
  name, path = split(spec)
  where = {name: options[name] for name in ("torch_python", "restore_run")}
  found = read(path, **where)
  if wanted != [layers.ALL] and not (
    found.layers and {*wanted} <= {*found.layers.names}
  ):
    return [
      load_model(f"{name} {one}={path}", layer=one, **options) for one in wanted
    ]
  shown = {name: options[name] for name in ("preprocessing", "image_size")}
  if options["check_preprocessing"]:
    found = preprocessing_check.checked(
      found, name=name, photos=options["photos"], **shown
    )
  return layers.of_reader(
    found, wanted, name=name, path=path, least_width=least_width, **shown
  )


def check_names(names: Sequence[str]) -> None:
  """Raises UsageError unless there is at least one name and all differ."""
  errors.require(
    names and len(set(names)) == len(names),
    f"models: {', '.join(names) or 'none'}; expected at least one, and a "
    "different name for each: NAME=PATH",
  )


def split(spec: str) -> tuple[str, str]:
  """Splits "NAME=PATH" or "PATH"; the default name is the file's stem."""
  name, equals, path = spec.partition("=")
  if equals and re.fullmatch(r"[^/\\]*", name) and not os.path.exists(spec):
    errors.require(
      name and path,
      f"model {spec!r}: expected NAME=PATH, such as mine=exported/mine",
    )
    return names_lib.escaped(name), path
  stem = os.path.basename(os.path.normpath(spec))
  return names_lib.escaped(
    re.sub(r"\.(keras|h5|hdf5|onnx|pt|pt2)$", "", stem)
  ), spec


def read(
  path: str,
  *,
  layer: str | None = None,
  torch_python: str | None = None,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
) -> reader.Reader:
  """Reads a model of any kind; arguments and errors as in `load_model`."""
  kind, _, rest = path.partition(":")
  if kind == "keras.applications":
    name, _, weights = rest.partition(":")
    return keras_models.read_application(
      name, weights or "imagenet", layer=layer
    )
  if kind == "random" and not os.path.exists(path):
    return encoder_models.untrained(rest, layer=layer)
  if path == "pixels" and not os.path.exists(path):
    return encoder_models.pixels(layer=layer)
  if torch_models.is_spec(path):
    return torch_models.read(path, layer=layer, python=torch_python)
  if os.path.isfile(os.path.join(path, saved_models.MODEL_FILE)):
    return saved_models.read(path, layer=layer)
  suffix = os.path.splitext(path)[1].lower()
  if os.path.isfile(path):
    errors.require(
      path.encode("utf-8", "replace") == os.fsencode(path),
      f"model {names_lib.escaped(path)}: the path is not UTF-8, so that no"
      " reader of models can open it; rename the file or its folder",
    )
    if suffix == ".onnx":
      return onnx_models.read(path, layer=layer)
    if suffix in (".keras", ".h5", ".hdf5"):
      if keras_file.is_of_keras_3(path):
        return keras3_files.read(path, layer=layer)
      return keras_models.read_file(path, layer=layer)
  if os.path.isdir(path) or os.path.isfile(f"{path}.index"):
    return _read_run(path, layer, restore_run)
  problem = "is of an unknown kind" if os.path.exists(path) else "was not found"
  hint = ""
  if os.path.isfile(path) and suffix in weight_files.SUFFIXES:
    hint = (
      f". Weights become a model with tools.import_weights --weights={path} "
      "--output=FOLDER; then give the folder"
    )
  if os.path.isfile(path) and suffix in torch_models.SUFFIXES:
    hint += (
      ". A program that TorchScript or torch.export saved, and whose source you"
      f" trust, is torchscript:{path} or torch_export:{path}"
    )
  raise errors.UsageError(f"model {path} {problem}; expected {KINDS}{hint}")


def _read_run(path: str, layer: str | None, restore_run) -> reader.Reader:
  errors.require(
    restore_run is not None,
    f"model {path} is not a SavedModel; if it is a run of tf_ssl, export it "
    "with tools.export_encoder and give the exported folder",
  )
  folders = (path, os.path.join(path, "checkpoints"))
  if not os.path.isfile(f"{path}.index") and not any(
    any(pathlib.Path(folder).glob("*-*.index")) for folder in folders
  ):
    raise errors.UsageError(
      f"model {path} has neither {saved_models.MODEL_FILE} nor checkpoints of "
      f"a run; expected {KINDS}"
    )
  encoder = restore_run(path)
  names = (weight.name for weight in encoder.weights)
  reader.check_numbers(path, zip(names, encoder.get_weights(), strict=True))
  digest = reader.weights_digest("tf_ssl run", encoder.get_weights())
  return encoder_models.of_encoder(encoder, "tf_ssl run", digest, layer=layer)


def _per_model(
  option: str, values: Sequence[str], names: Sequence[str]
) -> dict[str, str | None]:
  """The option's value for each model; NAME=VALUE overrides VALUE."""
  for_all, for_one = [], {}
  for value in values:
    name, equals, rest = value.partition("=")
    name = names_lib.escaped(name)
    if not equals:
      for_all.append(value)
    elif name not in names or name in for_one:
      raise errors.UsageError(
        f"{option}={value!r}: expected one value for each of the models "
        f"{', '.join(names)}"
      )
    else:
      for_one[name] = rest
  errors.require(
    len(for_all) <= 1,
    f"{option} is given {len(for_all)} times for all models "
    f"({', '.join(for_all)}); expected once, or NAME=VALUE for each",
  )
  common = for_all[0] if for_all else None
  return {name: for_one.get(name, common) for name in names}
