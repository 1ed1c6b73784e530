"""This project's ResNet as a backbone of Model Garden.

Importing this module registers it with Model Garden's factory, as
`tf_ssl_resnet`; a task's config then names it:

  task.model.backbone = Backbone(tf_ssl_resnet=ResNetConfig(model_id=18))

Its variables hang where those of `resnet.ResNet` hang, so that a run's own
checkpoints, which have the root `backbone`, are what `task.init_checkpoint`
with `init_checkpoint_modules: backbone` reads.
"""

import dataclasses
import functools

import tensorflow as tf
from official.modeling import hyperparams
from official.vision.configs import backbones
from official.vision.modeling.backbones import factory

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, convolution, resnet

NAME = "tf_ssl_resnet"

# Level l of Model Garden is a map with a place for each 2^l pixels. The small
# stem halves nothing before the first stage.
_FIRST_LEVEL = {"imagenet": 2, "small": 0}


@dataclasses.dataclass
class ResNetConfig(hyperparams.Config):
  """What the weights were trained as.

  Attributes:
    model_id: depth: 18, 34 or 50.
    width: multiplies the number of channels.
    stem: "imagenet" or "small".
  """

  model_id: int = 50
  width: float = 1.0
  stem: str = "imagenet"


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's choice of backbones, and ours, which is the default."""

  type: str | None = NAME
  tf_ssl_resnet: ResNetConfig = dataclasses.field(default_factory=ResNetConfig)


class GardenResNet(resnet.ResNet):
  """ResNet as Model Garden calls it: images -> maps by level, no feature.

  A subclass, not a wrapper: the paths of the variables in a checkpoint stay.
  """

  def __init__(self, *, input_specs: tf.keras.layers.InputSpec, **kwargs):
    """Builds the variables; the other arguments are `resnet.ResNet`'s."""
    super().__init__(**kwargs)
    maps = self(tf.keras.Input(input_specs.shape[1:]))
    self._shapes = tuple((level, m.shape) for level, m in maps.items())

  def call(self, images, training=None):
    """[B, H, W, 3] normalized -> {"2": [B, H/4, W/4, C], ... "5"}.

    With the small stem "0" to "3": a map of level l has a place for each 2^l
    pixels.
    """
    maps = self.endpoints(images, training=training)
    first = _FIRST_LEVEL[self.stem]
    return {
      str(first + i): maps[name] for i, name in enumerate(resnet.STAGE_NAMES)
    }

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """From levels to the shapes of their maps, as decoders ask for them."""
    return dict(self._shapes)


@factory.register_backbone_builder(NAME)
def build(
  input_specs: tf.keras.layers.InputSpec,
  backbone_config: hyperparams.OneOfConfig,
  norm_activation_config: hyperparams.Config,
  l2_regularizer: tf.keras.regularizers.Regularizer | None = None,
) -> GardenResNet:
  """Builds it for a task of Model Garden.

  Args:
    input_specs: of the images, [B, H, W, 3].
    backbone_config: a `Backbone` of type `tf_ssl_resnet`.
    norm_activation_config: of the task. Only `use_sync_bn` is heeded: with
      another activation, or another epsilon than the weights were trained
      with, they would give other features.
    l2_regularizer: of the kernels.

  Raises:
    UsageError: unknown depth or stem.
  """
  config = backbone_config.get()
  if config.model_id not in resnet.LAYOUTS:
    raise errors.UsageError(
      f"model_id={config.model_id!r}: expected one of "
      f"{', '.join(map(str, resnet.LAYOUTS))}; change "
      f"task.model.backbone.{NAME}.model_id"
    )
  stack, blocks = resnet.LAYOUTS[config.model_id]
  sync = norm_activation_config.use_sync_bn
  backbone = GardenResNet(
    input_specs=input_specs,
    stack=stack,
    blocks=blocks,
    width=config.width,
    stem=config.stem,
    batch_norm=batch_norm.cross_replica if sync else batch_norm.plain,
  )
  if l2_regularizer is not None:
    for layer in backbone.submodules:
      if isinstance(layer, convolution.Convolution):
        layer.add_loss(functools.partial(l2_regularizer, layer.kernel))
  return backbone
