"""What trained models are held against: untrained encoders, and raw pixels."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.models import encoder_models, reader

_ENCODERS = {
  "resnet18": resnet.resnet18,
  "resnet34": resnet.resnet34,
  "resnet50": resnet.resnet50,
}
_PIXELS_SIZE = 16  # px a side: 768 values, of the order of an encoder's units


def untrained(spec: str, *, layer: str | None = None) -> reader.Reader:
  """An encoder of this project with random weights.

  Seeds Keras, as the weights come from its generator.

  Args:
    spec: what follows `random:`: NAME or NAME:SEED, such as "resnet50:1"; the
      seed is 0 by default.
    layer: see `encoder_models.of_encoder`.

  Raises:
    UsageError: unknown name or layer, or a seed that is no whole number >= 0.
  """
  name, _, seed = spec.partition(":")
  if name not in _ENCODERS or not (seed or "0").isdecimal():
    raise errors.UsageError(
      f"random:{spec}: expected random:NAME or random:NAME:SEED, NAME one of "
      f"{', '.join(_ENCODERS)}, SEED a whole number"
    )
  tf.keras.utils.set_random_seed(int(seed or 0))
  encoder = _ENCODERS[name]()
  encoder(tf.zeros([1, 32, 32, 3]), training=False)  # makes the weights
  return encoder_models.of_encoder(
    encoder,
    "untrained encoder",
    reader.weights_digest(f"random:{name}", encoder.get_weights()),
    layer=layer,
  )


def pixels(*, layer: str | None = None) -> reader.Reader:
  """The image itself, shrunk to 16x16 px: [B, 768], 0..255.

  Raises:
    UsageError: a layer is asked for.
  """
  if layer is not None:
    raise errors.UsageError(
      f"layer={layer!r}: pixels have no layers; leave it out"
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
  )
