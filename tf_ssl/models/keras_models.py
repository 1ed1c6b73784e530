"""Keras models: which layer holds the features, and what the pixels must be."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import keras_config, keras_endpoints, keras_networks, reader

_layers = tf.keras.layers
_POOLING = (_layers.GlobalAveragePooling2D, _layers.GlobalMaxPooling2D)
# Layers that may stand between the features and the scores of classes.
_CLASSIFIER = (
  _layers.Activation,
  _layers.Dense,
  _layers.Dropout,
  _layers.Flatten,
  _layers.Reshape,
  _layers.Softmax,
)


def read_file(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads a `.keras` or `.h5` file; no code in it is run.

  Args:
    path: the file.
    layer: name of the layer to read; None chooses, see `choose_layer`.

  Raises:
    UsageError: the file is no Keras model, could run code (Lambda layers), or
      has no such layer.
  """
  config = keras_config.read(path)
  keras_config.check(config, path)
  model = load(path)
  return of_model(
    model, "Keras file", path, layer=layer, digest=reader.path_digest(path)
  )


def load(path: str) -> tf.keras.Model:
  """Builds a model whose configuration has been checked."""
  try:
    return tf.keras.models.load_model(path, compile=False)
  except Exception as error:  # whatever Keras raises on what it does not know
    raise errors.UsageError(
      f"{path} cannot be built by Keras {tf.keras.__version__}: "
      f"{' '.join(str(error).split())[:300]}; export the model as a SavedModel "
      "where it was made"
    ) from error


def of_model(
  model: tf.keras.Model,
  kind: str,
  path: str,
  *,
  layer: str | None,
  digest: str,
) -> reader.Reader:
  """Describes a Keras model in memory; arguments as `read_file`."""
  if not hasattr(model, "inputs") or not model.inputs:
    if layer is not None:
      raise errors.UsageError(
        f"{path}: layer={layer!r} was asked for, but this model is no graph of "
        "layers (a subclass of keras.Model); only its output can be read"
      )
    run, name, chosen = model, "output", "the model is no graph of layers"
  else:
    if len(model.inputs) != 1 or model.inputs[0].shape.rank != 4:
      shapes = [str(tensor.shape) for tensor in model.inputs]
      raise errors.UsageError(
        f"{path} takes {', '.join(shapes)}; expected one input, images "
        "[B, H, W, 3]"
      )
    tensor, name, chosen = choose_layer(model, path, layer)
    run = tf.keras.Model(model.inputs, tensor)
  shape = (
    model.inputs[0].shape if getattr(model, "inputs", None) else [None] * 4
  )
  if shape[3] not in (3, None):
    raise errors.UsageError(
      f"{path} takes images {tuple(shape)}; expected three channels, RGB, last"
    )
  return reader.Reader(
    kind=kind,
    run=lambda images: run(images, training=False),
    layer=name,
    layer_chosen=chosen,
    digest=digest,
    image_size=reader.fixed_size(shape[1], shape[2]),
    batch_size=shape[0],
    network=lambda: keras_endpoints.network(run),
    **_preprocessing(model),
  )


def choose_layer(
  model: tf.keras.Model, path: str, layer: str | None
) -> tuple[tf.Tensor, str, str]:
  """Finds the features of a model that may end in a classifier.

  Going back from the output through layers that a classifier is made of, the
  first global pooling is read; without one, what the last Dense layer is given;
  without that, the output.

  Args:
    model: made of layers, with one input.
    path: for errors.
    layer: name of a layer, or "output"; None chooses.

  Returns:
    The tensor, the layer's name, and why that.

  Raises:
    UsageError: the model has no such layer, or several outputs.
  """
  if layer is not None and layer != "output":
    names = [each.name for each in model.layers]
    if layer not in names:
      raise errors.UsageError(
        f"{path} has no layer {layer!r}; expected one of "
        f"{', '.join(names[-12:])} (the last of {len(names)}), or output; "
        "change `layer`"
      )
    return model.get_layer(layer).output, layer, "by `layer`"
  if len(model.outputs) != 1:
    raise errors.UsageError(
      f"{path} has {len(model.outputs)} outputs; set `layer` to one of "
      f"{', '.join(model.output_names)}"
    )
  if layer is None:
    found = _before_classifier(model)
    if found is not None:
      return found
  chosen = "by `layer`" if layer else "the model ends without a classifier"
  return model.outputs[0], "output", chosen


def _before_classifier(model):
  """The features, by walking back; None if the output is no classifier's."""
  dense = None
  tensor = model.outputs[0]
  while True:
    history = getattr(tensor, "_keras_history", None)
    if history is None:
      break
    layer = history.layer
    if isinstance(layer, _POOLING):
      return tensor, layer.name, "the last global pooling"
    # MobileNet's classifier is a convolution of a single place.
    is_point = isinstance(layer, _layers.Conv2D) and list(
      tensor.shape[1:3]
    ) == [1, 1]
    if not isinstance(layer, _CLASSIFIER) and not is_point:
      break
    given = layer.input
    if isinstance(given, (list, dict)):
      break
    if isinstance(layer, _layers.Dense) and dense is None:
      dense = given, f"input of {layer.name}", "before the last Dense layer"
    tensor = given
  return dense


def _preprocessing(model: tf.keras.Model) -> dict:
  """What a model says about its pixels: fields of `Reader`."""
  for layer in model.submodules:
    if isinstance(layer, (_layers.Rescaling, _layers.Normalization)):
      return {
        "preprocessing": "0..255",
        "preprocessing_chosen": f"the model has a layer {layer.name} for that",
      }
  name = keras_networks.recognized(model.name)
  if name is None:
    return {}
  return {
    "preprocessing": f"as {name}'s preprocess_input",
    "preprocessing_chosen": f"the model is called {model.name}",
    "preprocess": keras_networks.preprocess_input(name),
  }
