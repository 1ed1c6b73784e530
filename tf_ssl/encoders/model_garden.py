"""Image backbones of Model Garden as encoders.

`model_garden_resnet` is the other direction: this project's ResNet in Model
Garden's trainers.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from official.vision.configs import backbones, common
from official.vision.modeling.backbones import factory

from tf_ssl import errors
from tf_ssl.encoders import batch_norm

# Those of backbones_3d.py, for videos, are in another config.
KINDS = tuple(
  field.name
  for field in dataclasses.fields(backbones.Backbone)
  if field.name != "type"
)
_TOKENS = "pre_logits"  # Output of a vision transformer besides its maps.
_EPSILON = 0.001  # Model Garden's default for batch norm.


class GardenEncoder(tf.keras.Model):
  """Encoder: normalized images [B, H, W, 3] -> feature [B, D], float32.

  Attributes:
    network: Model Garden's backbone, images -> maps by level.
    config: Model Garden's configuration of `network`.
    feature_size: D.
    image_size: side of the images, pixels, for a network that takes one size
      only; None for any size.
  """

  def __init__(
    self,
    network: tf.keras.Model,
    config: backbones.Backbone,
    *,
    image_size: int | None = None,
    dtype=None,
    name: str = "backbone",
  ):
    super().__init__(dtype=dtype, name=name)
    self.network = network
    self.config = config
    self.image_size = image_size
    outputs = network.output
    self._levels = tuple(sorted(key for key in outputs if key.isdecimal()))
    if _TOKENS in outputs:
      self._last = _TOKENS
    else:
      self._last = max(self._levels, key=int, default=next(iter(outputs)))
    self.feature_size = outputs[self._last].shape[-1]

  def endpoints(self, images, training=None) -> dict[str, tf.Tensor]:
    """Feature maps of every level.

    Args:
      images: [B, H, W, 3], normalized.
      training: whether batch norm uses and updates batch statistics.

    Returns:
      C2, C3, ...: [B, H/2^l, W/2^l, C] for each level of the backbone; in some
      backbones C6 is a last convolution of C5's size. For a backbone without
      levels, such as a vision transformer, the tensor that the feature is the
      mean of.
    """
    maps = self._maps(images, training)
    if not self._levels:
      return {self._last: maps[self._last]}
    return {f"C{level}": maps[level] for level in self._levels}

  def call(self, images, training=None):
    """Feature: [B, H, W, 3] -> [B, D] float32, the mean over positions."""
    last = tf.cast(self._maps(images, training)[self._last], tf.float32)
    return tf.reduce_mean(last, axis=list(range(1, last.shape.rank - 1)))

  def _maps(self, images, training):
    if self.image_size is not None:
      sides = [self.image_size] * 2
      if not images.shape[1:3].is_compatible_with(sides):
        raise errors.UsageError(
          f"images of {images.shape[1]}x{images.shape[2]} px for a backbone "
          f"that was built for {self.image_size} px; set IMAGE_SIZE and "
          "model_garden.backbone.image_size to the same value"
        )
      images = tf.ensure_shape(images, [None, *sides, 3])
    return self.network(images, training=training)


def backbone(
  *,
  kind: str = "resnet",
  settings: Mapping[str, Any] | None = None,
  image_size: int | None = None,
  activation: str = "relu",
  norm_momentum: float = batch_norm.MOVING_AVERAGE_MOMENTUM,
  norm_epsilon: float = _EPSILON,
  norm_groups: int = 1,
  cross_replica_norm: bool = False,
  dtype=None,
  name: str = "backbone",
) -> GardenEncoder:
  """Builds an untrained backbone of Model Garden as an encoder.

  Args:
    kind: kind of backbone, one of `KINDS`.
    settings: settings of that kind in `official.vision.configs.backbones`, such
      as {"model_id": "MobileNetV2", "filter_size_scale": 0.5}.
    image_size: side of all images, pixels; required for vision transformers,
      which take one size only. None for any size.
    activation: name of the activation, for backbones that do not fix it.
    norm_momentum: momentum of batch norm's moving averages.
    norm_epsilon: epsilon of batch norm; Model Garden's default, so that its
      trainers compute the same with these weights.
    norm_groups: number of parts of the batch that batch norm normalizes
      separately, as in `batch_norm.split`.
    cross_replica_norm: whether batch norm uses the global batch.
    dtype: Keras dtype policy, such as "mixed_bfloat16".
    name: name of the Keras model.

  Raises:
    UsageError: the kind or a setting is unknown, or Model Garden cannot build
      the backbone.
  """
  config = _config(kind, settings or {})
  with _policy(dtype):
    try:
      network = factory.build_backbone(
        tf.keras.layers.InputSpec(shape=[None, image_size, image_size, 3]),
        config,
        common.NormActivation(
          activation=activation,
          use_sync_bn=cross_replica_norm,
          norm_momentum=norm_momentum,
          norm_epsilon=norm_epsilon,
        ),
      )
    except Exception as error:  # Each backbone raises other types.
      size = (
        ""
        if image_size
        else ", or set `image_size` if the backbone takes one size only"
      )
      raise errors.UsageError(
        f"Model Garden cannot build {kind} with {config.get().as_dict()} "
        f"({type(error).__name__}: {' '.join(str(error).split())[:300]}); "
        f"change `settings`{size}"
      ) from error
  batch_norm.split_in_place(network, groups=norm_groups)
  return GardenEncoder(
    network, config, image_size=image_size, dtype=dtype, name=name
  )


def _config(kind: str, settings: Mapping[str, Any]) -> backbones.Backbone:
  errors.require(
    kind in KINDS,
    f"kind={kind!r}: Model Garden has no such image backbone; expected one of"
    f" {', '.join(KINDS)}; change `kind`",
  )
  config = backbones.Backbone(type=kind)
  known = config.get().as_dict()
  unknown = [key for key in settings if key not in known]
  errors.require(
    not unknown,
    f"settings {unknown} of the backbone {kind} are unknown; expected some of"
    f" {', '.join(known)}; change `settings`",
  )
  config.get().override(dict(settings))
  return config


@contextlib.contextmanager
def _policy(dtype) -> Iterator[None]:
  """Sets the global policy, from which Model Garden's layers take dtypes."""
  mixed = tf.keras.mixed_precision
  before = mixed.global_policy()
  if dtype is not None:
    mixed.set_global_policy(dtype)
  try:
    yield
  finally:
    mixed.set_global_policy(before)
