"""Keras models: files, keras.applications, their features and stages."""

import functools
import re
from collections.abc import Callable

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import keras_config, keras_file, reader
from tf_ssl.ops import compat

_layers = tf.keras.layers
_applications = tf.keras.applications
_APPLICATIONS = [name for name in dir(_applications) if name[0].isupper()]
_POOLING = (_layers.GlobalAveragePooling2D, _layers.GlobalMaxPooling2D)
# Layers that may follow the features in a classifier.
_CLASSIFIER = (
  _layers.Activation,
  _layers.Dense,
  _layers.Dropout,
  _layers.Flatten,
  _layers.Reshape,
  _layers.Softmax,
)
# Stride of each map in px of the image, as in our ResNets.
_STRIDES = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}
_PROBE_SIZE = 128  # px; a multiple of all strides
# Bytes of variables that a model may have beyond those in its file, and how
# many times larger they may be: a file may store float16.
_MAX_VARIABLES = 2**26
_MAX_WIDENED = 4
_NUMBER_BYTES = 4


def read_file(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads a `.keras` or `.h5` file without running code from it.

  Args:
    path: path of the file.
    layer: name of the layer to read; None chooses, see `choose_layer`.

  Raises:
    UsageError: the file is not a Keras model, could run code (Lambda layers),
      or has no such layer.
  """
  saved = keras_file.read(path)
  keras_config.check(saved.config, path)
  model = load(path, num_bytes=keras_file.check_weights(path))
  return of_model(
    model, "Keras file", path, layer=layer, digest=reader.path_digest(path)
  )


def load(path: str, *, num_bytes: int) -> tf.keras.Model:
  """Builds a model whose configuration `keras_config` has checked.

  Args:
    path: path of the file or folder.
    num_bytes: size of its weights in bytes; the variables of the model may take
      little more.

  Raises:
    UsageError: Keras cannot build the model, or its configuration has more
      weights than the file.
  """
  most = _MAX_VARIABLES + _MAX_WIDENED * num_bytes
  created = 0

  def create(next_creator, **options):
    nonlocal created
    shape = tf.TensorShape(options.get("shape"))
    created += (shape.num_elements() or 0) * _NUMBER_BYTES
    errors.require(
      created <= most,
      f"{path} has weights of {num_bytes} bytes, but its configuration builds "
      f"layers of more than {most}; save the model with model.save(...)",
    )
    return next_creator(**options)

  with (
    reader.reading(
      f"{path} cannot be built by this Keras, {compat.keras_version()}",
      "export the model as a SavedModel (model.export(...)) with the program "
      "that made it",
    ),
    tf.variable_creator_scope(create),
  ):
    model = tf.keras.models.load_model(path, compile=False)
  errors.require(
    isinstance(model, tf.keras.Model),
    f"{path} has a {type(model).__name__} in place of a Keras model",
  )
  return model


def read_application(
  name: str, weights: str, *, layer: str | None = None, seed: int = 0
) -> reader.Reader:
  """Builds a network of `tf.keras.applications` without its classifier.

  Sets Keras' random seed.

  Args:
    name: name in `tf.keras.applications`, such as "ResNet50".
    weights: "imagenet" (downloaded once), "random", or the path of a weight
      file of the network without its top.
    layer: name of the layer to read; None for the average over the last maps.
    seed: seed of the random weights.

  Raises:
    UsageError: unknown network or layer, missing file, or failed download.
  """
  errors.require(
    name in _APPLICATIONS,
    f"keras.applications has no {name!r}; expected one of "
    f"{', '.join(_APPLICATIONS)}",
  )
  build = getattr(_applications, name)
  tf.keras.utils.set_random_seed(seed)
  with reader.reading(
    f"the weights {weights!r} of keras.applications:{name} cannot be loaded",
    "imagenet is downloaded once; without a network give "
    f"keras.applications:{name}:PATH with a .h5 file of the weights without "
    "the top, or random",
  ):
    if weights not in ("random", "imagenet"):
      keras_file.check_weights(weights)
    model = build(
      weights=None if weights == "random" else weights,
      include_top=False,
      pooling="avg",
    )
  path = f"keras.applications:{name}:{weights}"
  digest = reader.weights_digest(path, model.get_weights())
  found = of_model(model, "Keras application", path, layer=layer, digest=digest)
  preprocess = _preprocess_input(name)
  if preprocess is None:
    return found  # The model has a layer for it.
  return found._replace(
    preprocessing=f"as {name}'s preprocess_input",
    preprocessing_chosen="that of the network's own module",
    preprocess=preprocess,
  )


def of_model(
  model: tf.keras.Model,
  kind: str,
  path: str,
  *,
  layer: str | None,
  digest: str,
) -> reader.Reader:
  """Describes a Keras model in memory.

  Args:
    model: a model that takes images [B, H, W, 3].
    kind: kind of file, for reports.
    path: path of the file, for errors.
    layer: name of the layer to read; None chooses, see `choose_layer`.
    digest: hash of the model.

  Raises:
    UsageError: weights are NaN, or the model does not take images, or has no
      such layer.
  """
  reader.check_numbers(
    path,
    zip(
      (weight.name for weight in model.weights),
      model.get_weights(),
      strict=True,
    ),
  )
  inputs, layers, scores = getattr(model, "inputs", None), None, None
  if not inputs:
    errors.require(
      layer is None,
      f"{path}: layer={layer!r} is not available, because the model is a "
      "subclass of keras.Model and not a graph of layers; remove `layer` to "
      "read its output",
    )
    run, name, chosen = model, "output", "the model is no graph of layers"
    shape = [None] * 4
  else:
    shape = inputs[0].shape
    errors.require(
      len(inputs) == 1 and shape.rank == 4 and shape[3] in (3, None),
      f"{path} takes {', '.join(str(tensor.shape) for tensor in inputs)}; "
      "expected one input, RGB images [B, H, W, 3]",
    )
    tensor, name, chosen = choose_layer(model, path, layer)
    run = tf.keras.Model(inputs, tensor)
    layers = _layers_of(run)
    if _is_classifier(model):
      whole = tf.keras.Model(inputs, model.outputs[0])
      scores = functools.partial(whole, training=False)
  return reader.Reader(
    kind=kind,
    run=lambda images: run(images, training=False),
    layer=name,
    layer_chosen=chosen,
    digest=digest,
    image_size=reader.fixed_size(shape[1], shape[2]),
    batch_size=shape[0],
    network=lambda: _network(run),
    class_scores=scores,
    layers=layers,
    **preprocessing_of(str(model.name), _scaling_layer(model)),
  )


def _layers_of(model: tf.keras.Model) -> reader.Layers:
  """The ends of the blocks of a model that ends in the features."""
  kinds = []
  for layer in model.layers:
    # A layer that the model uses several times has several outputs.
    if len(layer.inbound_nodes) == 1:
      output = layer.output
      if isinstance(output, (list, tuple, dict)) or isinstance(
        layer, _layers.InputLayer
      ):
        continue
      if output.shape.rank in (2, 3, 4) and output.shape[-1] is not None:
        kinds.append((layer.name, type(layer).__name__))

  def run(names):
    outputs = [model.get_layer(name).output for name in names]
    several = tf.keras.Model(model.inputs, outputs)
    return lambda images: tf.nest.flatten(several(images, training=False))

  names = reader.block_ends(
    kinds, (("Add", "Concatenate"), ("Activation", "ReLU", "LeakyReLU"))
  )
  return reader.Layers(names, run)


def choose_layer(
  model: tf.keras.Model, path: str, layer: str | None
) -> tuple[tf.Tensor, str, str]:
  """Finds the features of a model that may end in a classifier.

  Walks back from the output through the layers of a classifier to the last
  global pooling; without one, takes the input of the last Dense layer; without
  that, the output.

  Args:
    model: graph of layers with one input.
    path: path of the model, for errors.
    layer: name of a layer, or "output"; None chooses.

  Returns:
    The tensor, the name of the layer, and the reason for it.

  Raises:
    UsageError: the model has no such layer, or several outputs.
  """
  if layer is not None and layer != "output":
    names = [each.name for each in model.layers]
    errors.require(
      layer in names,
      f"{path} has no layer {layer!r}; expected one of "
      f"{', '.join(names[-12:])} (the last of {len(names)}), or output; "
      "change `layer`",
    )
    return model.get_layer(layer).output, layer, "by `layer`"
  errors.require(
    len(model.outputs) == 1,
    f"{path} has {len(model.outputs)} outputs; set `layer` to one of "
    f"{', '.join(model.output_names)}",
  )
  if layer is None:
    found = _before_classifier(model)
    if found is not None:
      return found
  chosen = "by `layer`" if layer else "the model ends without a classifier"
  return model.outputs[0], "output", chosen


def _before_classifier(model) -> tuple[tf.Tensor, str, str] | None:
  """The features; None if the output is not that of a classifier."""
  dense = None
  tensor = model.outputs[0]
  while True:
    history = getattr(tensor, "_keras_history", None)
    if history is None:
      break
    layer = history.layer
    if isinstance(layer, _POOLING):
      return tensor, layer.name, "the last global pooling"
    # MobileNet's classifier is a convolution on a 1x1 map.
    is_point = isinstance(layer, _layers.Conv2D) and list(
      tensor.shape[1:3]
    ) == [1, 1]
    if not isinstance(layer, _CLASSIFIER) and not is_point:
      break
    # A layer that the model uses several times has several inputs.
    given = layer.get_input_at(history.node_index)
    if isinstance(given, (list, dict)):
      break
    if isinstance(layer, _layers.Dense) and dense is None:
      dense = given, f"input of {layer.name}", "before the last Dense layer"
    tensor = given
  return dense


def _is_classifier(model: tf.keras.Model) -> bool:
  """Whether a model's only output is that of a Dense layer of 2 or more."""
  if len(model.outputs) != 1 or model.outputs[0].shape.rank != 2:
    return False
  tensor = model.outputs[0]
  while (history := getattr(tensor, "_keras_history", None)) is not None:
    layer = history.layer
    if isinstance(layer, _layers.Dense):
      return layer.units > 1
    if not isinstance(layer, _CLASSIFIER):
      return False
    tensor = layer.get_input_at(history.node_index)
  return False


def _scaling_layer(model: tf.keras.Model) -> str:
  """Name of the model's layer that scales pixels; "" if it has none."""
  scaling = (_layers.Rescaling, _layers.Normalization)
  return next(
    (layer.name for layer in model.submodules if isinstance(layer, scaling)), ""
  )


def preprocessing_of(model_name: str, scaling_layer: str) -> dict:
  """The preprocessing that a model specifies, as fields of `Reader`.

  Args:
    model_name: name of the model, which may be that of a known network.
    scaling_layer: name of its layer that scales pixels; "" if it has none.
  """
  if scaling_layer:
    return {
      "preprocessing": "0..255",
      "preprocessing_chosen": f"the model has a layer {scaling_layer} for that",
    }
  # A network's default name, such as mobilenetv2_1.00_224, identifies it.
  bare = re.sub(r"_\d\.\d+_\d+$", "", model_name)
  bare = re.sub(r"[-_]", "", bare).lower()
  name = next((name for name in _APPLICATIONS if name.lower() == bare), None)
  if name is None:
    return {}
  return {
    "preprocessing": f"as {name}'s preprocess_input",
    "preprocessing_chosen": f"the model is called {model_name}",
    "preprocess": _preprocess_input(name),
  }


def _preprocess_input(
  name: str,
) -> Callable[[tf.Tensor], tf.Tensor] | None:
  """The function of the module that defines a network, if it has one."""
  build = getattr(_applications, name)
  for module in vars(_applications).values():
    if getattr(module, name, None) is build:
      return getattr(module, "preprocess_input", None)
  return None


def _network(model: tf.keras.Model) -> reader.Network:
  """Makes all of a model trainable and finds the maps of its stages.

  C2, C3, C4 and C5 are the outputs of the last layers with 1/4, 1/8, 1/16 and
  1/32 of the image's sides. A model that contains another model as a layer may
  lack some of them; a subclass of keras.Model has none.

  Args:
    model: preprocessed images -> features.
  """
  model.trainable = True

  @functools.cache
  def maps() -> tf.keras.Model:
    return tf.keras.Model(model.inputs, _stages(model))

  is_graph = bool(getattr(model, "inputs", None))
  has_maps = is_graph and bool(_stages(model))
  return reader.Network(
    lambda images, training: model(images, training=training),
    (lambda images, training: maps()(images, training=training))
    if has_maps
    else None,
    model.variables,
    model.trainable_variables,
  )


def _stages(model: tf.keras.Model) -> dict[str, tf.Tensor]:
  """Symbolic maps of the stages that the model has."""
  maps = [
    tensor
    for layer in model.layers
    for tensor in tf.nest.flatten(layer.output)
    if tensor.shape.rank == 4 and tensor is not model.inputs[0]
  ]
  if not maps:
    return {}
  sides = [s or _PROBE_SIZE for s in model.inputs[0].shape[1:3]]
  trace = tf.function(tf.keras.Model(model.inputs, maps)).get_concrete_function(
    tf.TensorSpec([1, *sides, 3], model.inputs[0].dtype), training=False
  )
  shapes = [output.shape[1:3] for output in trace.outputs]
  found = {}
  for tensor, shape in zip(maps, shapes, strict=True):
    for name, stride in _STRIDES.items():
      if list(shape) == [-(-side // stride) for side in sides]:
        found[name] = tensor
  return found
