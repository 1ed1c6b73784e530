"""An encoder as Model Garden calls a backbone."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import trainable


class EncoderMaps(tf.keras.Model):
  """An encoder as Model Garden calls a backbone: images -> maps by level.

  Attributes:
    output_specs: from levels to the shapes of their maps.
  """

  def __init__(
    self, encoder: trainable.TrainableEncoder, min_level: int, *, frozen: bool
  ):
    """Finds the maps.

    Args:
      encoder: gives them.
      min_level: of the finest to hand on.
      frozen: whether it works as in inference also in training.

    Raises:
      UsageError: they do not suit the level.
    """
    super().__init__(name="maps")
    self._levels = _levels(encoder, min_level)
    self.output_specs = {
      level: tf.TensorShape([None, None, None, encoder.channels[name]])
      for level, name in self._levels.items()
    }
    # A function: what hangs on a model as an attribute may become part of it.
    self._endpoints: Callable = lambda images, training: encoder.endpoints(
      images, training and not frozen
    )
    self._frozen = frozen

  def call(self, images, training=None):
    """[B, H, W, 3] 0..255 -> {"3": [B, H/8, W/8, C], ...}."""
    maps = self._endpoints(images, bool(training))
    if self._frozen:
      maps = {name: tf.stop_gradient(one) for name, one in maps.items()}
    return {level: maps[name] for level, name in self._levels.items()}


def _levels(
  encoder: trainable.TrainableEncoder, min_level: int
) -> dict[str, str]:
  """From the levels of an encoder's maps to their names, as far as they go."""
  found = {}
  for name, stride in encoder.strides.items():
    if stride & (stride - 1) == 0:  # a power of 2
      found.setdefault(stride.bit_length() - 1, name)
  levels = {}
  for level in range(min_level, max(found, default=0) + 1):
    if level not in found:
      break
    levels[str(level)] = found[level]
  if not levels or int(max(levels)) != max(found):
    maps = ", ".join(f"{n} ({s} px)" for n, s in encoder.strides.items())
    raise errors.UsageError(
      f"model {encoder.name!r} has the maps {maps}; expected one for each "
      f"power of 2 from {2**min_level} px, that of level {min_level}, up to "
      "its coarsest; change MIN_LEVEL, or give another model"
    )
  return levels
