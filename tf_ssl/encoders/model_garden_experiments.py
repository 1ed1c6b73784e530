"""Model Garden's detectors on COCO with this project's ResNet as backbone.

Importing this module registers two experiments, Model Garden's own with another
backbone, which `tools.train_model_garden` trains:

  tf_ssl_retinanet_coco   retinanet_resnetfpn_coco
  tf_ssl_maskrcnn_coco    maskrcnn_resnetfpn_coco

Neither starts from a checkpoint unless `task.init_checkpoint` names one.
"""

from official.core import config_definitions, exp_factory
from official.vision.configs import maskrcnn, retinanet

from tf_ssl.encoders import model_garden_resnet


@exp_factory.register_config_factory("tf_ssl_retinanet_coco")
def retinanet_coco() -> config_definitions.ExperimentConfig:
  """RetinaNet (Lin et al. 2017), Model Garden's schedule."""
  return _with_our_backbone(retinanet.retinanet_resnetfpn_coco())


@exp_factory.register_config_factory("tf_ssl_maskrcnn_coco")
def maskrcnn_coco() -> config_definitions.ExperimentConfig:
  """Mask R-CNN (He et al. 2017), Model Garden's schedule."""
  return _with_our_backbone(maskrcnn.maskrcnn_resnetfpn_coco())


def _with_our_backbone(experiment):
  experiment.task.model.backbone = model_garden_resnet.Backbone()
  experiment.task.init_checkpoint = None
  experiment.task.init_checkpoint_modules = "backbone"
  return experiment
