"""Keras models as networks to train, and the maps after their stages."""

import functools

import tensorflow as tf

from tf_ssl.models import reader

# Pixels of the image per place of the map, as in our own ResNets.
STRIDES = {"C2": 4, "C3": 8, "C4": 16, "C5": 32}
_SIZE = 128  # px; a multiple of all strides


def network(model: tf.keras.Model) -> reader.Network:
  """What training needs of a Keras model; makes all of it trainable.

  Of its layers whose maps have 1/4, 1/8, 1/16 and 1/32 of the image's sides,
  the last of each are C2, C3, C4 and C5. A model that holds another one as a
  layer may lack some; one that is no graph of layers has none.

  Args:
    model: preprocessed images -> features.
  """
  model.trainable = True

  @functools.cache
  def maps() -> tf.keras.Model:
    return tf.keras.Model(model.inputs, _last_of_each_stride(model))

  def endpoints(images, training):
    return maps()(images, training=training)

  is_graph = bool(getattr(model, "inputs", None))
  has_maps = is_graph and bool(_last_of_each_stride(model))
  return reader.Network(
    lambda images, training: model(images, training=training),
    endpoints if has_maps else None,
    model.variables,
    model.trainable_variables,
  )


def _last_of_each_stride(model: tf.keras.Model) -> dict[str, tf.Tensor]:
  """Symbolic maps by the names of `STRIDES`, those that there are."""
  maps = [
    tensor
    for layer in model.layers
    for tensor in tf.nest.flatten(layer.output)
    if tensor.shape.rank == 4 and tensor is not model.inputs[0]
  ]
  if not maps:
    return {}
  sides = [s or _SIZE for s in model.inputs[0].shape[1:3]]
  trace = tf.function(tf.keras.Model(model.inputs, maps)).get_concrete_function(
    tf.TensorSpec([1, *sides, 3], model.inputs[0].dtype), training=False
  )
  shapes = [output.shape[1:3] for output in trace.outputs]
  found = {}
  for tensor, shape in zip(maps, shapes, strict=True):
    for name, stride in STRIDES.items():
      if list(shape) == [-(-side // stride) for side in sides]:
        found[name] = tensor
  return found
