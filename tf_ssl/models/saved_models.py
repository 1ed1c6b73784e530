"""SavedModels of tf_ssl, TF-Hub, Keras and others.

Loading one runs no Python code from the file, and operations that write files
are refused. Its graph may still read files and save checkpoints: load only
models whose source you trust.
"""

import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import graph_operations, keras_config, keras_models, reader
from tf_ssl.ops import compat, workdir

MODEL_FILE = "saved_model.pb"
_KERAS_FILE = "keras_metadata.pb"
_VARIABLES = "variables"
_ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"  # End of a variable's name.
_OUR_FILE = "provenance.json"  # Written by tf_ssl.export.
# Preferred signatures: tf_ssl, TF-Hub of TensorFlow 1, TensorFlow 2.
_SIGNATURES = ("features", "image_feature_vector", "default", "serving_default")
# Preferred outputs; the last one is that of google-research/simclr.
_OUTPUTS = (
  "features",
  "pooled",
  "pooler_output",
  "feature_vector",
  "default",
  "final_avg_pool",
)
_MAPS = ("C2", "C3", "C4", "C5")
_FROZEN_MAPS = (
  "its maps were exported for inference only: batch norm keeps the statistics "
  "that it came with"
)


def read(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads a SavedModel.

  One that Keras saved (with `keras_metadata.pb`) is read like a `.keras` file
  if its configuration needs no other code. For all others, the features are the
  signature `features`, else the call of the object (TF-Hub's convention), else
  the signature image_feature_vector, default or serving_default, or the only
  one.

  Args:
    path: path of the folder.
    layer: SIGNATURE, SIGNATURE:OUTPUT, or "call" for the call of the object;
      the name of a layer for a model that Keras saved.

  Raises:
    UsageError: it cannot be loaded, has operations that write files, or takes
      no images; the error lists its signatures.
  """
  digest = reader.path_digest(path)
  with reader.reading(f"{path} cannot be loaded as a SavedModel"):
    graph_operations.check(os.path.join(path, MODEL_FILE), path)
  refused = ""
  if os.path.exists(os.path.join(path, _KERAS_FILE)):
    try:
      _check_keras(path)
      model = keras_models.load(path, num_bytes=_variable_bytes(path))
    except errors.UsageError as error:
      refused = f"; as a Keras model it cannot be read: {error}"
    else:
      return keras_models.of_model(
        model, "Keras SavedModel", path, layer=layer, digest=digest
      )
  with (
    reader.reading(f"{path} cannot be loaded as a SavedModel"),
    workdir.without_wildcards(path) as readable,
  ):
    loaded = tf.saved_model.load(readable)
    reader.check_numbers(path, _weights(readable))
  is_ours = os.path.exists(os.path.join(path, _OUR_FILE))
  found = _call(loaded) if _prefers_call(loaded, layer) else None
  if found is None:
    found = _signature(loaded, path, layer, refused)
  run, name, images = found
  height, width = images.shape[1:3] if images.shape.rank else (None, None)
  batch = images.shape[0] if images.shape.rank else None

  return reader.Reader(
    kind="tf_ssl SavedModel" if is_ours else "SavedModel",
    # `loaded` owns the variables and must outlive its functions.
    run=lambda pixels, _=loaded: run(tf.cast(pixels, images.dtype)),
    layer=name,
    layer_chosen="by `layer`" if layer else "what it offers first" + refused,
    digest=digest,
    image_size=reader.fixed_size(height, width),
    batch_size=batch,
    network=_network(loaded),
    layers=_layers(loaded),
    **_preprocessing(
      path, images.dtype, hasattr(loaded, "trainable_variables")
    ),
  )


def _check_keras(path: str) -> None:
  with reader.reading(f"{_KERAS_FILE} cannot be read"):
    metadata = compat.keras_module(
      "protobuf.saved_metadata_pb2"
    ).SavedMetadata()
    with open(os.path.join(path, _KERAS_FILE), "rb") as file:
      metadata.ParseFromString(file.read())
    configs = [json.loads(node.metadata) for node in metadata.nodes]
  for config in configs:
    keras_config.check(config, path)


def _weights(path: str) -> Iterator[tuple[str, np.ndarray]]:
  """Names and values of the variables in a SavedModel's files."""
  prefix = os.path.join(path, _VARIABLES, _VARIABLES)
  if os.path.exists(f"{prefix}.index"):
    file = tf.train.load_checkpoint(prefix)
    for name, dtype in file.get_variable_to_dtype_map().items():
      if dtype.is_floating:
        yield name.removesuffix(_ATTRIBUTE), file.get_tensor(name)


def _variable_bytes(path: str) -> int:
  """Size of the files with a SavedModel's variables."""
  files = pathlib.Path(path, _VARIABLES).glob("*")
  return sum(file.stat().st_size for file in files)


def _prefers_call(loaded: object, layer: str | None) -> bool:
  if layer is not None:
    return layer == "call"
  return callable(loaded) and "features" not in loaded.signatures


def _call(loaded: object) -> tuple[Callable, str, tf.TensorSpec] | None:
  """The object as a function of images; None if it is no such function."""
  if not callable(loaded):
    return None
  # The object's class has a __call__ that only forwards to this one.
  call = _image_function(vars(loaded).get("__call__"))
  if call is None:
    return None
  run, spec = call
  return lambda pixels: _one_output(run(pixels)), "call", spec


def _image_function(
  function: object, *, training: bool = False
) -> tuple[Callable, tf.TensorSpec] | None:
  """Turns a restored function into a function of images only.

  Args:
    function: attribute of a loaded SavedModel, such as its `__call__`.
    training: whether the trace was given True, TF-Hub's argument `training`.

  Returns:
    Function of images [B, H, W, 3] and the spec of its images, float32 if it
    accepts several types; None if there is no such trace.
  """
  found = []
  for trace in getattr(function, "concrete_functions", []):
    # Specs of tensors, and Python values such as that of `training`.
    given = trace.structured_input_signature
    flat = tf.nest.flatten(given)
    specs = [value for value in flat if isinstance(value, tf.TensorSpec)]
    is_training = any(value is True for value in flat)
    if len(specs) == 1 and is_training == training and _takes_images(specs[0]):
      found.append((functools.partial(_called, function, given), specs[0]))
  found.sort(key=lambda call: not call[1].dtype.is_floating)
  return found[0] if found else None


def _takes_images(spec: tf.TensorSpec) -> bool:
  """Whether a tensor may be images [B, H, W, 3]."""
  shape = spec.shape
  is_number = spec.dtype.is_floating or spec.dtype == tf.uint8
  return is_number and (
    shape.rank is None or (shape.rank == 4 and shape[3] in (3, None))
  )


def _called(function: Callable, given: tuple, pixels: tf.Tensor):
  """Calls a function with its traced arguments and `pixels` as the tensor."""
  arguments, named = tf.nest.map_structure(
    lambda value: pixels if isinstance(value, tf.TensorSpec) else value, given
  )
  return function(*arguments, **named)


def _signature(
  loaded: object, path: str, layer: str | None, refused: str
) -> tuple[Callable, str, tf.TensorSpec]:
  """The signature to read; UsageError if none takes images."""
  signatures = loaded.signatures
  name, _, output = (layer or "").partition(":")
  if not layer:
    known = [each for each in _SIGNATURES if each in signatures]
    name = (known or list(signatures) or [""])[0]
    if not known and len(signatures) > 1:
      name = ""
  function = signatures[name] if name in signatures else None
  specs = {} if function is None else function.structured_input_signature[1]
  if len(specs) != 1 or not all(map(_takes_images, specs.values())):
    raise errors.UsageError(
      f"{path} has no signature {name or 'for images'!r} that takes one input, "
      f"images [B, H, W, 3]; it has {_listing(loaded)}; set `layer` to one of "
      f"them{refused}"
    )
  [(argument, spec)] = specs.items()
  outputs = function.structured_outputs
  errors.require(
    not output or output in outputs,
    f"{path}: signature {name} has no output {output!r}; expected one of "
    f"{', '.join(sorted(outputs))}; change `layer`",
  )
  output = output or _choose_output(outputs, f"{path}: signature {name}")
  read_as = name if name == output else f"{name}:{output}"
  return lambda pixels: function(**{argument: pixels})[output], read_as, spec


def _listing(loaded: object) -> str:
  """The signatures with the types and shapes of their inputs and outputs."""
  lines = []
  for name, function in loaded.signatures.items():
    # By name: versions of TensorFlow order them differently.
    inputs = [
      x for _, x in sorted(function.structured_input_signature[1].items())
    ]
    outputs = function.structured_outputs
    outputs = sorted(outputs.items()) if isinstance(outputs, dict) else ()
    takes = ", ".join(f"{i.dtype.name}{i.shape}" for i in inputs)
    gives = ", ".join(f"{k} {v.shape}" for k, v in outputs)
    lines.append(f"{name} ({takes}) -> {gives}")
  return "; ".join(lines) or "no signatures"


def _one_output(outputs: object) -> tf.Tensor:
  if not isinstance(outputs, dict):
    return outputs
  return outputs[_choose_output(outputs, "its call")]


def _choose_output(outputs: dict, source: str) -> str:
  for name in [*_OUTPUTS, *outputs]:
    if name in outputs and (name in _OUTPUTS or len(outputs) == 1):
      return name
  raise errors.UsageError(
    f"{source} gives {', '.join(sorted(outputs))}; set `layer` to "
    "SIGNATURE:OUTPUT"
  )


def _preprocessing(path: str, dtype: tf.DType, is_hub: bool) -> dict:
  """The preprocessing that a SavedModel specifies, as fields of `Reader`."""
  if dtype == tf.uint8:
    return {
      "preprocessing": "0..255",
      "preprocessing_chosen": "its images are uint8",
      "preprocessing_is_known": True,
    }
  ours = os.path.join(path, _OUR_FILE)
  if os.path.exists(ours) and _is_applied_inside(ours):
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


def _is_applied_inside(file: str) -> bool:
  """Whether provenance.json records preprocessing inside the SavedModel.

  Raises:
    UsageError: it is not a JSON object.
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
  applied = described.get("applied") if isinstance(described, dict) else None
  return applied == "inside the SavedModel"


def _layers(loaded: object) -> reader.Layers | None:
  """The maps of a SavedModel with a function `endpoints`, as tf_ssl's."""
  maps = _image_function(getattr(loaded, "endpoints", None))
  if maps is None:
    return None
  run_maps, spec = maps

  def run(names):
    def outputs(images):
      found = run_maps(tf.cast(images, spec.dtype))
      return [found[name] for name in names]

    return outputs

  # `loaded` owns the variables and must outlive its functions.
  return reader.Layers(_MAPS, lambda names, _=loaded: run(names))


def _network(loaded: object) -> Callable[[], reader.Network] | None:
  """Builds the network to train; None if the SavedModel cannot be trained.

  Training needs `variables`, `trainable_variables` and a call with `training`,
  as in TF-Hub's reusable SavedModels; maps need a function `endpoints`, as in
  those that tf_ssl exports.

  Args:
    loaded: result of `tf.saved_model.load`.
  """
  call = vars(loaded).get("__call__")
  modes = {
    training: _image_function(call, training=training)
    for training in (False, True)
  }
  trainable = list(getattr(loaded, "trainable_variables", ()))
  if not trainable or None in modes.values():
    return None
  endpoints = getattr(loaded, "endpoints", None)
  inference_maps = _image_function(endpoints)
  training_maps = _image_function(endpoints, training=True)
  maps = {False: inference_maps, True: training_maps or inference_maps}

  def run_features(images, training):
    run, spec = modes[training]
    return _one_output(run(tf.cast(images, spec.dtype)))

  def run_endpoints(images, training):
    run, spec = maps[training]
    return run(tf.cast(images, spec.dtype))

  return lambda: reader.Network(
    run_features,
    run_endpoints if inference_maps else None,
    list(getattr(loaded, "variables", trainable)),
    trainable,
    note=_FROZEN_MAPS if inference_maps and not training_maps else "",
  )
