"""Models without a file: this project's encoders in memory, and raw pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.models import reader

_ENDPOINTS = resnet.STAGE_NAMES
_UNTRAINED = {
  "resnet18": resnet.resnet18,
  "resnet34": resnet.resnet34,
  "resnet50": resnet.resnet50,
}
_PIXELS_SIZE = 16  # px; 768 values, about the feature width of an encoder


def of_encoder(
  encoder: tf.keras.Model, kind: str, digest: str, *, layer: str | None = None
) -> reader.Reader:
  """Describes one of this project's encoders.

  Args:
    encoder: normalized images [B, H, W, 3] -> [B, D], with `endpoints`.
    kind: origin of the encoder, for reports.
    digest: hash of its weights.
    layer: "features", or an endpoint, "C2" to "C5"; None is "features".

  Raises:
    UsageError: unknown layer.
  """
  errors.require(
    layer in (None, "features", *_ENDPOINTS),
    f"layer={layer!r}: an encoder of this project has features, "
    f"{', '.join(_ENDPOINTS)}; change `layer`",
  )

  def run(images):
    if layer in _ENDPOINTS:
      return encoder.endpoints(images, training=False)[layer]
    return encoder(images, training=False)

  def features(images, training):
    with batch_norm.working_plainly(encoder):
      return encoder(images, training=training)

  def endpoints(images, training):
    with batch_norm.working_plainly(encoder):
      return encoder.endpoints(images, training=training)

  return reader.Reader(
    kind=kind,
    run=run,
    layer=layer or "features",
    layer_chosen="by `layer`" if layer else "the encoder's output",
    digest=digest,
    preprocessing="imagenet",
    preprocessing_chosen="what this project's encoders are trained with",
    preprocessing_is_known=True,
    network=lambda: reader.Network(
      features, endpoints, encoder.variables, encoder.trainable_variables
    ),
    layers=reader.Layers(
      _ENDPOINTS,
      lambda names: (
        lambda images: _chosen(encoder.endpoints(images, training=False), names)
      ),
    ),
  )


def _chosen(maps: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
  return [maps[name] for name in names]


def untrained(spec: str, *, layer: str | None = None) -> reader.Reader:
  """An encoder of this project with random weights.

  Sets Keras' random seed, because the weights come from its generator.

  Args:
    spec: what follows `random:`: NAME or NAME:SEED, such as "resnet50:1"; the
      default seed is 0.
    layer: layer to read, as in `of_encoder`.

  Raises:
    UsageError: unknown name or layer, or a seed that is not an integer >= 0.
  """
  name, _, seed = spec.partition(":")
  errors.require(
    name in _UNTRAINED and (seed or "0").isdecimal(),
    f"random:{spec}: expected random:NAME or random:NAME:SEED, with NAME one "
    f"of {', '.join(_UNTRAINED)} and SEED an integer >= 0",
  )
  tf.keras.utils.set_random_seed(int(seed or 0))
  encoder = _UNTRAINED[name]()
  encoder(tf.zeros([1, 32, 32, 3]), training=False)  # Creates the weights.
  return of_encoder(
    encoder,
    "untrained encoder",
    reader.weights_digest(f"random:{name}", encoder.get_weights()),
    layer=layer,
  )


def pixels(*, layer: str | None = None) -> reader.Reader:
  """A baseline without weights: the image resized to 16x16 px, [B, 768].

  Raises:
    UsageError: `layer` is given.
  """
  errors.require(
    layer is None, f"layer={layer!r}: pixels have no layers; remove `layer`"
  )

  def run(images):
    small = tf.image.resize(images, [_PIXELS_SIZE] * 2, antialias=True)
    return tf.reshape(small, [-1, _PIXELS_SIZE**2 * 3])

  return reader.Reader(
    kind="raw pixels",
    run=run,
    layer=f"{_PIXELS_SIZE}x{_PIXELS_SIZE} px",
    layer_chosen="all there is",
    digest=f"pixels-{_PIXELS_SIZE}",
    preprocessing="0..255",
    preprocessing_chosen="none is needed",
    preprocessing_is_known=True,
  )
