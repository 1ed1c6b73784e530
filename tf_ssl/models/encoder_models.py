"""This project's own encoders, in memory: restored from a run, or untrained."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.models import reader

_ENDPOINTS = resnet.STAGE_NAMES


def of_encoder(
  encoder: tf.keras.Model, kind: str, digest: str, *, layer: str | None = None
) -> reader.Reader:
  """Describes one of this project's encoders.

  Args:
    encoder: normalized [B, H, W, 3] -> [B, D], with `endpoints`.
    kind: for reports.
    digest: of its weights.
    layer: "features", or an endpoint, "C2" to "C5"; None is "features".

  Raises:
    UsageError: unknown layer.
  """
  if layer not in (None, "features", *_ENDPOINTS):
    raise errors.UsageError(
      f"layer={layer!r}: an encoder of this project has features, "
      f"{', '.join(_ENDPOINTS)}; change `layer`"
    )
  if layer in _ENDPOINTS:

    def run(images):
      return encoder.endpoints(images, training=False)[layer]

  else:

    def run(images):
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
    network=lambda: reader.Network(
      features, endpoints, encoder.variables, encoder.trainable_variables
    ),
  )
