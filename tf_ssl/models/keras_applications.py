"""The networks that come with Keras, by name."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import keras_models, keras_networks, reader


def read(
  name: str, weights: str, *, layer: str | None = None, seed: int = 0
) -> reader.Reader:
  """Builds a network without its classifier; seeds Keras.

  Args:
    name: as in `tf.keras.applications`, such as "ResNet50".
    weights: "imagenet" (downloaded once), "random", or the path of a weight
      file of the network without its top.
    layer: name of the layer to read; by default the average over the last maps.
    seed: of random weights.

  Raises:
    UsageError: no such network, layer or file, or the download failed.
  """
  if name not in keras_networks.NAMES:
    raise errors.UsageError(
      f"keras.applications has no {name!r}; expected one of "
      f"{', '.join(keras_networks.NAMES)}"
    )
  build = getattr(tf.keras.applications, name)
  tf.keras.utils.set_random_seed(seed)
  try:
    model = build(
      weights=None if weights == "random" else weights,
      include_top=False,
      pooling="avg",
    )
  except Exception as error:  # a download, HDF5 and Keras each have their own
    raise errors.UsageError(
      f"the weights {weights!r} of keras.applications:{name} cannot be had: "
      f"{' '.join(str(error).split())[:300]}; imagenet needs the network once, "
      f"else give keras.applications:{name}:PATH, a .h5 file of the weights "
      "without the top, or random"
    ) from error
  path = f"keras.applications:{name}:{weights}"
  digest = reader.weights_digest(path, model.get_weights())
  found = keras_models.of_model(
    model, "Keras application", path, layer=layer, digest=digest
  )
  preprocess = keras_networks.preprocess_input(name)
  if preprocess is None:
    return found  # its model has a layer for that
  return found._replace(
    preprocessing=f"as {name}'s preprocess_input",
    preprocessing_chosen="that of the network's own module",
    preprocess=preprocess,
  )
