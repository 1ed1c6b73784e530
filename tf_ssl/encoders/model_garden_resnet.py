"""This project's ResNet as a backbone of Model Garden's trainers.

Importing this module registers `tf_ssl_resnet` with Model Garden's factory.
The configuration of a task selects it:

  task.model.backbone = Backbone(tf_ssl_resnet=ResNetConfig(model_id=18))

Its variables have the same paths as those of `resnet.ResNet`. A checkpoint of a
run, which has the root `backbone`, can therefore be `task.init_checkpoint` with
`init_checkpoint_modules: backbone`.
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

# Level l of Model Garden is a map with stride 2^l. The small stem has stride 1.
_FIRST_LEVEL = {"imagenet": 2, "small": 0}


@dataclasses.dataclass
class ResNetConfig(hyperparams.Config):
  """Architecture of the ResNet.

  Attributes:
    model_id: depth, 18, 34 or 50.
    width: factor of the number of channels.
    stem: "imagenet" or "small".
  """

  model_id: int = 50
  width: float = 1.0
  stem: str = "imagenet"


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's backbones and this project's, which is the default."""

  type: str | None = NAME
  tf_ssl_resnet: ResNetConfig = dataclasses.field(default_factory=ResNetConfig)


class GardenResNet(resnet.ResNet):
  """ResNet with Model Garden's interface: images -> maps by level.

  A subclass, not a wrapper, keeps the paths of variables in checkpoints.
  """

  def __init__(self, *, input_specs: tf.keras.layers.InputSpec, **kwargs):
    """Builds the variables.

    Args:
      input_specs: shape of the images, [B, H, W, 3].
      **kwargs: arguments of `resnet.ResNet`.
    """
    super().__init__(**kwargs)
    maps = self(tf.keras.Input(input_specs.shape[1:]))
    self._shapes = tuple((level, m.shape) for level, m in maps.items())

  def call(self, images, training=None):
    """Maps by level: [B, H, W, 3] normalized -> {"2": [B, H/4, W/4, C], ...}.

    Levels are "2" to "5", with the small stem "0" to "3"; level l has stride
    2^l.
    """
    maps = self.endpoints(images, training=training)
    first = _FIRST_LEVEL[self.stem]
    return {
      str(first + i): maps[name] for i, name in enumerate(resnet.STAGE_NAMES)
    }

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shapes of the maps by level, which Model Garden's decoders need."""
    return dict(self._shapes)


@factory.register_backbone_builder(NAME)
def build(
  input_specs: tf.keras.layers.InputSpec,
  backbone_config: hyperparams.OneOfConfig,
  norm_activation_config: hyperparams.Config,
  l2_regularizer: tf.keras.regularizers.Regularizer | None = None,
) -> GardenResNet:
  """Builds the backbone for a task of Model Garden.

  Args:
    input_specs: shape of the images, [B, H, W, 3].
    backbone_config: `Backbone` of type `tf_ssl_resnet`.
    norm_activation_config: settings of the task, of which only `use_sync_bn` is
      used: with another activation or epsilon than in training, the weights
      would give other features.
    l2_regularizer: regularizer of the kernels.

  Raises:
    UsageError: the depth or the stem is unknown.
  """
  config = backbone_config.get()
  errors.require(
    config.model_id in resnet.LAYOUTS,
    f"model_id={config.model_id!r}: expected one of"
    f" {', '.join(map(str, resnet.LAYOUTS))}; change"
    f" task.model.backbone.{NAME}.model_id",
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


@functools.cache  # A name can be registered once.
def register_experiments() -> None:
  """Registers Model Garden's detectors on COCO with this backbone.

  They differ from Model Garden's own experiments only in the backbone and in
  starting from no checkpoint unless `task.init_checkpoint` is set:

    tf_ssl_retinanet_coco   retinanet_resnetfpn_coco (Lin et al. 2017)
    tf_ssl_maskrcnn_coco    maskrcnn_resnetfpn_coco (He et al. 2017)
  """
  from official.core import exp_factory
  from official.vision.configs import maskrcnn, retinanet

  def register(name, build_experiment):
    def experiment():
      config = build_experiment()
      config.task.model.backbone = Backbone()
      config.task.init_checkpoint = None
      config.task.init_checkpoint_modules = "backbone"
      return config

    exp_factory.register_config_factory(name)(experiment)

  register("tf_ssl_retinanet_coco", retinanet.retinanet_resnetfpn_coco)
  register("tf_ssl_maskrcnn_coco", maskrcnn.maskrcnn_resnetfpn_coco)
