"""Model Garden's RetinaNet (Lin et al. 2017) on the maps of an encoder.

Decoder (FPN), heads, anchors, losses and the choice of detections are
tf-models-official's; the encoder is whatever gives maps.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from official.vision.configs import common, decoders
from official.vision.configs import retinanet as config_lib
from official.vision.modeling import factory
from official.vision.ops import anchor
from official.vision.tasks import retinanet as task_lib

from tf_ssl import errors
from tf_ssl.encoders import batch_norm
from tf_ssl.evaluation.models import trainable
from tf_ssl.input_pipeline import boxed_images

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


class Found(NamedTuple):
  """Detections of a batch, the surest of an image first.

  Attributes:
    boxes: [B, P, 4] float32, pixels of the square: xmin, ymin, xmax, ymax.
    scores: [B, P] float32, 0..1.
    class_ids: [B, P] int32, from 0.
    count: [B] int32, how many of the P are detections.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  class_ids: tf.Tensor
  count: tf.Tensor


class RetinaNet:
  """Images -> boxes with classes.

  Attributes:
    head_variables: all of decoder and heads.
    trainable_head_variables: those that gradients may move.
  """

  def __init__(
    self,
    encoder: trainable.TrainableEncoder,
    architecture: Architecture,
    *,
    num_classes: int,
    image_size: int,
    frozen: bool,
  ):
    """Builds decoder and heads; `draw_head` gives them weights.

    Args:
      encoder: gives the maps.
      architecture: of decoder and heads.
      num_classes: C.
      image_size: pixels a side of the images.
      frozen: whether the encoder works as in inference also in training.

    Raises:
      UsageError: the size does not suit the levels, or the encoder's maps do
        not.
    """
    largest = 2**architecture.max_level
    if image_size % largest:
      raise errors.UsageError(
        f"image_size={image_size}: expected a multiple of {largest}, as the "
        f"coarsest map is of level {architecture.max_level}; change IMAGE_SIZE "
        "or MAX_LEVEL"
      )
    self._size = image_size
    self._maps = _Maps(encoder, architecture.min_level, frozen=frozen)
    self._config = _config(architecture, num_classes, image_size)
    self._task = task_lib.RetinaNetTask(self._config)
    self._labeler = anchor.AnchorLabeler()
    self._anchors = _anchors(architecture, image_size)
    self._model = self._build()
    parts = (self._model.decoder, self._model.head)
    self.head_variables: Sequence[tf.Variable] = [
      variable for part in parts for variable in part.variables
    ]
    self.trainable_head_variables: Sequence[tf.Variable] = [
      variable for part in parts for variable in part.trainable_variables
    ]
    self._detect = tf.function(
      self._detections,
      input_signature=[
        tf.TensorSpec([None, image_size, image_size, 3], tf.uint8)
      ],
    )

  def draw_head(self, seed: int) -> None:
    """Gives decoder and heads their first weights; seeds Keras."""
    tf.keras.utils.set_random_seed(seed)
    fresh = self._build()
    self._model.decoder.set_weights(fresh.decoder.get_weights())
    self._model.head.set_weights(fresh.head.get_weights())

  def targets(
    self, example: boxed_images.BoxedImage
  ) -> tuple[tf.Tensor, dict[str, Any]]:
    """What the anchors of an image should say, to be batched for `loss`.

    Args:
      example: one image; any number of boxes, none too.

    Returns:
      The image, and Model Garden's labels.
    """
    xmin, ymin, xmax, ymax = tf.unstack(example.boxes, axis=1)
    classes = example.class_ids[:, None] + 1  # 0 is the background
    cls_targets, box_targets, _, cls_weights, box_weights = (
      self._labeler.label_anchors(
        self._anchors, tf.stack([ymin, xmin, ymax, xmax], 1), classes
      )
    )
    return example.image, {
      "cls_targets": cls_targets,
      "box_targets": box_targets,
      "cls_weights": cls_weights,
      "box_weights": box_weights,
    }

  def loss(self, images: tf.Tensor, labels: Mapping[str, Any]) -> tf.Tensor:
    """Focal loss of the classes and Huber loss of the boxes (Model Garden's).

    Args:
      images: [B, size, size, 3] uint8.
      labels: of `targets`, batched.

    Returns:
      [] float32, by the number of anchors that have an object.
    """
    outputs = self._model(tf.cast(images, tf.float32), training=True)
    outputs = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), outputs)
    total, *_ = self._task.build_losses(outputs, labels)
    return total

  def detect(self, images: tf.Tensor) -> Found:
    """Detections in a batch of images.

    Args:
      images: [B, size, size, 3] uint8.

    Returns:
      Of each image the 100 surest after suppression of those that overlap by an
      IoU of more than 0.5 with a surer one of their class.
    """
    return self._detect(images)

  def _detections(self, images) -> Found:
    batch = tf.shape(images)[0]
    anchors = {
      level: tf.tile(boxes[None], [batch, 1, 1, 1])
      for level, boxes in self._anchors.items()
    }
    outputs = self._model(
      tf.cast(images, tf.float32),
      image_shape=tf.fill([batch, 2], self._size),
      anchor_boxes=anchors,
      training=False,
    )
    return Found(
      tf.gather(outputs["detection_boxes"], [1, 0, 3, 2], axis=2),
      outputs["detection_scores"],
      tf.cast(outputs["detection_classes"], tf.int32) - 1,
      outputs["num_detections"],
    )

  def _build(self):
    specs = tf.keras.layers.InputSpec(shape=[None, self._size, self._size, 3])
    return factory.build_retinanet(
      specs, self._config.model, backbone=self._maps
    )


class _Maps(tf.keras.Model):
  """An encoder as Model Garden calls a backbone: images -> maps by level.

  Attributes:
    output_specs: from levels to the shapes of their maps.
  """

  def __init__(self, encoder, min_level: int, *, frozen: bool):
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


def _config(architecture, num_classes, image_size) -> config_lib.RetinaNetTask:
  return config_lib.RetinaNetTask(
    model=config_lib.RetinaNet(
      num_classes=num_classes + 1,
      input_size=[image_size, image_size, 3],
      min_level=architecture.min_level,
      max_level=architecture.max_level,
      anchor=config_lib.Anchor(
        num_scales=_SCALES_PER_LEVEL,
        aspect_ratios=list(_ASPECT_RATIOS),
        anchor_size=architecture.anchor_size,
      ),
      decoder=decoders.Decoder(
        type="fpn", fpn=decoders.FPN(num_filters=architecture.num_filters)
      ),
      head=config_lib.RetinaNetHead(
        num_convs=architecture.num_convs, num_filters=architecture.num_filters
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


def _anchors(architecture, image_size) -> dict[str, tf.Tensor]:
  """By level, [h, w, anchors * 4], ymin, xmin, ymax, xmax in pixels."""
  generate = anchor.build_anchor_generator(
    architecture.min_level,
    architecture.max_level,
    _SCALES_PER_LEVEL,
    list(_ASPECT_RATIOS),
    architecture.anchor_size,
  )
  return generate(image_size=(image_size, image_size))
