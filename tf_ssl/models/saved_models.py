"""SavedModels: ours, TF-Hub's, and those that Keras or anyone exported.

Loading one runs no Python of the file. Its graph, like any program's, may hold
operations that read and write files: give only models whose source you trust.
"""

import json
import os
from collections.abc import Callable

import tensorflow as tf
from keras.protobuf import saved_metadata_pb2

from tf_ssl import errors
from tf_ssl.models import (
  keras_config,
  keras_models,
  reader,
  saved_calls,
  saved_networks,
)

MODEL_FILE = "saved_model.pb"
_KERAS_FILE = "keras_metadata.pb"
_OUR_FILE = "provenance.json"  # what tf_ssl.export writes inside
# In this order: ours and TF-Hub's of TensorFlow 1; those of TensorFlow 2.
_SIGNATURES = ("features", "image_feature_vector", "default", "serving_default")
# The last one is google-research/simclr's.
_OUTPUTS = (
  "features",
  "pooled",
  "pooler_output",
  "feature_vector",
  "default",
  "final_avg_pool",
)


def read(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads a SavedModel.

  Keras' own (with `keras_metadata.pb`) are read as a `.keras` file is, if their
  configuration needs no code of others. Of the rest, the signature `features`
  is read, else the object itself is called, as TF-Hub has it, else one of the
  signatures image_feature_vector, default, serving_default, or the only one.

  Args:
    path: the folder.
    layer: what to read: SIGNATURE, SIGNATURE:OUTPUT, or "call" (the object
      itself); the name of a layer for Keras' own.

  Raises:
    UsageError: it cannot be loaded, or has nothing that takes images; the
      signatures that it has are listed.
  """
  digest = reader.path_digest(path)
  refused = ""
  if os.path.exists(os.path.join(path, _KERAS_FILE)):
    try:
      _check_keras(path)
      model = keras_models.load(path)
    except errors.UsageError as error:
      refused = f"; as a Keras model it cannot be read: {error}"
    else:
      return keras_models.of_model(
        model, "Keras SavedModel", path, layer=layer, digest=digest
      )
  try:
    loaded = tf.saved_model.load(path)
  except Exception as error:  # OpError, OSError, ValueError, by what is wrong
    raise errors.UsageError(
      f"{path} cannot be loaded as a SavedModel: "
      f"{' '.join(str(error).split())[:300]}"
    ) from error
  is_ours = os.path.exists(os.path.join(path, _OUR_FILE))
  found = _call(loaded) if _prefers_call(loaded, layer) else None
  if found is None:
    found = _signature(loaded, path, layer, refused)
  run, name, images = found
  height, width = images.shape[1:3] if images.shape.rank else (None, None)
  batch = images.shape[0] if images.shape.rank else None

  return reader.Reader(
    kind="tf_ssl SavedModel" if is_ours else "SavedModel",
    # `loaded` must live as long as its functions.
    run=lambda pixels, _=loaded: run(tf.cast(pixels, images.dtype)),
    layer=name,
    layer_chosen="by `layer`" if layer else "what it offers first" + refused,
    digest=digest,
    image_size=reader.fixed_size(height, width),
    batch_size=batch,
    network=saved_networks.of_loaded(loaded, _one_output),
    **_preprocessing(
      path, images.dtype, hasattr(loaded, "trainable_variables")
    ),
  )


def _check_keras(path: str) -> None:
  metadata = saved_metadata_pb2.SavedMetadata()
  with open(os.path.join(path, _KERAS_FILE), "rb") as file:
    metadata.ParseFromString(file.read())
  for node in metadata.nodes:
    keras_config.check(json.loads(node.metadata), path)


def _prefers_call(loaded: object, layer: str | None) -> bool:
  if layer is not None:
    return layer == "call"
  return callable(loaded) and "features" not in loaded.signatures


def _call(loaded: object) -> tuple[Callable, str, tf.TensorSpec] | None:
  """The object as a function of images; None if it is no such function."""
  if not callable(loaded):
    return None
  # its class has a __call__ that only forwards
  call = saved_calls.of_images(vars(loaded).get("__call__"))
  if call is None:
    return None
  run, spec = call
  return lambda pixels: _one_output(run(pixels)), "call", spec


def _signature(
  loaded: object, path: str, layer: str | None, refused: str
) -> tuple[Callable, str, tf.TensorSpec]:
  """The signature to read; UsageError if there is none for images."""
  signatures = loaded.signatures
  name, _, output = (layer or "").partition(":")
  if not layer:
    known = [each for each in _SIGNATURES if each in signatures]
    name = (known or list(signatures) or [""])[0]
    if not known and len(signatures) > 1:
      name = ""
  function = signatures[name] if name in signatures else None
  specs = {} if function is None else function.structured_input_signature[1]
  if len(specs) != 1 or not all(map(saved_calls.takes_images, specs.values())):
    raise errors.UsageError(
      f"{path} has no signature {name or 'for images'!r} that takes one input, "
      f"images [B, H, W, 3]; it has {_listing(loaded)}; set `layer` to one of "
      f"them{refused}"
    )
  [(argument, spec)] = specs.items()
  outputs = function.structured_outputs
  if output and output not in outputs:
    raise errors.UsageError(
      f"{path}: signature {name} has no output {output!r}; expected one of "
      f"{', '.join(outputs)}; change `layer`"
    )
  output = output or _choose_output(outputs, f"{path}: signature {name}")
  read_as = name if name == output else f"{name}:{output}"
  return lambda pixels: function(**{argument: pixels})[output], read_as, spec


def _listing(loaded: object) -> str:
  """The signatures with what they take and give."""
  lines = []
  for name, function in loaded.signatures.items():
    inputs = function.structured_input_signature[1].values()
    takes = ", ".join(f"{i.dtype.name}{i.shape}" for i in inputs)
    gives = ", ".join(f"{k} {v.shape}" for k, v in _shapes(function).items())
    lines.append(f"{name} ({takes}) -> {gives}")
  return "; ".join(lines) or "no signatures at all"


def _shapes(function) -> dict:
  outputs = function.structured_outputs
  return outputs if isinstance(outputs, dict) else {}


def _one_output(outputs: object, what: str = "its call") -> tf.Tensor:
  if not isinstance(outputs, dict):
    return outputs
  return outputs[_choose_output(outputs, what)]


def _choose_output(outputs: dict, what: str) -> str:
  for name in [*_OUTPUTS, *outputs]:
    if name in outputs and (name in _OUTPUTS or len(outputs) == 1):
      return name
  raise errors.UsageError(
    f"{what} gives {', '.join(outputs)}; set `layer` to SIGNATURE:OUTPUT"
  )


def _preprocessing(path: str, dtype: tf.DType, is_hub: bool) -> dict:
  """What a SavedModel says about its pixels: fields of `Reader`."""
  if dtype == tf.uint8:
    return {
      "preprocessing": "0..255",
      "preprocessing_chosen": "its images are uint8",
    }
  ours = os.path.join(path, _OUR_FILE)
  if os.path.exists(ours):
    if _applied(ours) == "inside the SavedModel":
      return {
        "preprocessing": "0..255",
        "preprocessing_chosen": f"{_OUR_FILE}: it normalizes by itself",
      }
  if is_hub:
    return {
      "preprocessing": "0..1",
      "preprocessing_chosen": "TF-Hub's convention for reusable SavedModels",
    }
  return {}


def _applied(file: str) -> object:
  """Where provenance.json says that pixels are preprocessed; None if nowhere.

  Raises:
    UsageError: it is no JSON object.
  """
  try:
    with open(file, encoding="utf-8") as stream:
      content = json.load(stream)
    if not isinstance(content, dict):
      raise ValueError(f"it holds {type(content).__name__}")
  except ValueError as error:
    raise errors.UsageError(
      f"{file} is not a JSON object ({error}); restore it, or delete it and "
      "set preprocessing"
    ) from error
  described = content.get("preprocessing")
  return described.get("applied") if isinstance(described, dict) else None
