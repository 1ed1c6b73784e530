"""Any of Model Garden's image backbones as an encoder.

The other direction, this project's ResNet in Model Garden's trainers, is
`model_garden_resnet`.
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

# backbones_3d.py's, which take videos, are in a config of their own
KINDS = tuple(
  field.name
  for field in dataclasses.fields(backbones.Backbone)
  if field.name != "type"
)
_TOKENS = "pre_logits"  # what a vision transformer gives beside maps
_EPSILON = 0.001  # of batch norm: Model Garden's default


class GardenEncoder(tf.keras.Model):
  """An encoder: normalized images [B, H, W, 3] -> feature [B, D], float32.

  Attributes:
    network: Model Garden's backbone, images -> maps by level.
    config: of Model Garden, what `network` was built from.
    feature_size: D.
    image_size: pixels a side, where it takes images of one size only.
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
    """The maps of every level.

    Args:
      images: [B, H, W, 3], normalized.
      training: whether batch norm uses and updates batch statistics.

    Returns:
      C2, C3, ...: [B, H/2^l, W/2^l, C], as far as the backbone has levels;
      some backbones count a last convolution of C5's size as C6. Of one without
      maps, such as a vision transformer, what its feature is made of.
    """
    maps = self._maps(images, training)
    if not self._levels:
      return {self._last: maps[self._last]}
    return {f"C{level}": maps[level] for level in self._levels}

  def call(self, images, training=None):
    """[B, H, W, 3] -> [B, D] float32: the mean over the last map's places."""
    last = tf.cast(self._maps(images, training)[self._last], tf.float32)
    return tf.reduce_mean(last, axis=list(range(1, last.shape.rank - 1)))

  def _maps(self, images, training):
    if self.image_size is not None:
      sides = [self.image_size] * 2
      if not images.shape[1:3].is_compatible_with(sides):
        raise errors.UsageError(
          f"images of {images.shape[1]}x{images.shape[2]} px for a backbone "
          f"that was built for {self.image_size} px; set IMAGE_SIZE and "
          "model_garden.backbone.image_size alike"
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
  """One of Model Garden's backbones, untrained, as a method's encoder.

  Args:
    kind: one of `KINDS`.
    settings: of that kind, as in `official.vision.configs.backbones`, such as
      {"model_id": "MobileNetV2", "filter_size_scale": 0.5}.
    image_size: pixels a side of all images; needed for vision transformers,
      which take one size only. None for any size.
    activation: where the backbone leaves it open.
    norm_momentum: of batch norm's moving averages.
    norm_epsilon: of batch norm; Model Garden's default, so that its trainers
      compute the same with these weights.
    norm_groups: parts of a batch that batch norm treats alone; see
      `batch_norm.split`.
    cross_replica_norm: statistics over the global batch.
    dtype: Keras dtype policy, such as "mixed_bfloat16".
    name: of the Keras model.

  Raises:
    UsageError: unknown kind or settings, or Model Garden cannot build it.
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
    except Exception as error:  # each backbone has its own for bad settings
      size = "" if image_size else ", or name the only size with `image_size`"
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
  if kind not in KINDS:
    raise errors.UsageError(
      f"kind={kind!r}: Model Garden has no such image backbone; expected one "
      f"of {', '.join(KINDS)}; change `kind`"
    )
  config = backbones.Backbone(type=kind)
  known = config.get().as_dict()
  unknown = [key for key in settings if key not in known]
  if unknown:
    raise errors.UsageError(
      f"settings {unknown} of the backbone {kind} are unknown; expected some "
      f"of {', '.join(known)}; change `settings`"
    )
  config.get().override(dict(settings))
  return config


@contextlib.contextmanager
def _policy(dtype) -> Iterator[None]:
  """Model Garden's layers take their dtype from the global policy alone."""
  mixed = tf.keras.mixed_precision
  before = mixed.global_policy()
  if dtype is not None:
    mixed.set_global_policy(dtype)
  try:
    yield
  finally:
    mixed.set_global_policy(before)
