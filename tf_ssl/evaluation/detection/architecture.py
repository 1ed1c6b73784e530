"""What Model Garden builds on an encoder's maps to make it a RetinaNet."""

import dataclasses

import tensorflow as tf
from official.vision.configs import common, decoders
from official.vision.configs import retinanet as config_lib
from official.vision.ops import anchor

from tf_ssl import errors
from tf_ssl.encoders import batch_norm

# Model Garden drops what it is less sure of than 0.05; a detector after few
# steps is sure of nothing, and COCO's metrics see to the order alone.
_LEAST_SCORE = 0.001
_ASPECT_RATIOS = (0.5, 1.0, 2.0)  # of anchors, section 4
_SCALES_PER_LEVEL = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
  """What is built on the encoder. The defaults are the paper's, section 4.

  Attributes:
    min_level: of the finest map; level l has a place for each 2^l pixels.
    max_level: of the coarsest.
    anchor_size: side of a level's smallest anchor, in its places.
    num_filters: channels of the decoder and of the heads.
    num_convs: convolutions of a head before its last.
  """

  min_level: int = 3
  max_level: int = 7
  anchor_size: float = 4.0
  num_filters: int = 256
  num_convs: int = 4

  def __post_init__(self):
    """Refuses what cannot be built."""
    if not 0 <= self.min_level < self.max_level:
      raise errors.UsageError(
        f"min_level={self.min_level}, max_level={self.max_level}: expected 0 "
        "or more, and a larger one; change MIN_LEVEL or MAX_LEVEL"
      )
    if min(self.num_filters, self.num_convs) < 1 or not self.anchor_size > 0:
      raise errors.UsageError(
        f"num_filters={self.num_filters}, num_convs={self.num_convs}, "
        f"anchor_size={self.anchor_size}: expected at least 1, at least 1, and "
        "more than 0"
      )

  def task(
    self, *, num_classes: int, image_size: int
  ) -> config_lib.RetinaNetTask:
    """Model Garden's config of it.

    Args:
      num_classes: C, without the background.
      image_size: pixels a side of the square images.
    """
    return config_lib.RetinaNetTask(
      model=config_lib.RetinaNet(
        num_classes=num_classes + 1,
        input_size=[image_size, image_size, 3],
        min_level=self.min_level,
        max_level=self.max_level,
        anchor=config_lib.Anchor(
          num_scales=_SCALES_PER_LEVEL,
          aspect_ratios=list(_ASPECT_RATIOS),
          anchor_size=self.anchor_size,
        ),
        decoder=decoders.Decoder(
          type="fpn", fpn=decoders.FPN(num_filters=self.num_filters)
        ),
        head=config_lib.RetinaNetHead(
          num_convs=self.num_convs, num_filters=self.num_filters
        ),
        detection_generator=config_lib.DetectionGenerator(
          pre_nms_score_threshold=_LEAST_SCORE, nms_version="batched"
        ),
        norm_activation=common.NormActivation(
          use_sync_bn=False,
          norm_momentum=batch_norm.MOVING_AVERAGE_MOMENTUM,
          norm_epsilon=batch_norm.EPSILON,
        ),
      )
    )

  def anchors(self, image_size: int) -> dict[str, tf.Tensor]:
    """By level, [h, w, anchors * 4], ymin, xmin, ymax, xmax in pixels."""
    generate = anchor.build_anchor_generator(
      self.min_level,
      self.max_level,
      _SCALES_PER_LEVEL,
      list(_ASPECT_RATIOS),
      self.anchor_size,
    )
    return generate(image_size=(image_size, image_size))
