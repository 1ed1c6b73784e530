"""Model Garden's RetinaNet (Lin et al. 2017) on the maps of an encoder.

Decoder (FPN), heads, anchors, losses and non-maximum suppression are those of
tf-models-official; any encoder with maps can be its backbone.
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
from tf_ssl.input_pipeline import boxed_images
from tf_ssl.models import trainable

# Model Garden drops detections below 0.05, which are all that a detector has
# after a few steps; COCO's metrics depend only on the order of the scores.
_MIN_SCORE = 0.001
_ASPECT_RATIOS = (0.5, 1.0, 2.0)  # Of the anchors, section 4.
_SCALES_PER_LEVEL = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
  """Decoder and heads on an encoder; the defaults are the paper's, section 4.

  Attributes:
    min_level: level of the finest map; level l has stride 2^l pixels.
    max_level: level of the coarsest map.
    anchor_size: side of a level's smallest anchor, in units of its stride.
    num_filters: channels of the decoder and of the heads.
    num_convs: number of convolutions of a head before its last one.
  """

  min_level: int = 3
  max_level: int = 7
  anchor_size: float = 4.0
  num_filters: int = 256
  num_convs: int = 4

  def __post_init__(self):
    """Checks the settings."""
    errors.require(
      0 <= self.min_level < self.max_level,
      f"min_level={self.min_level}, max_level={self.max_level}: expected "
      "0 <= min_level < max_level; change MIN_LEVEL or MAX_LEVEL",
    )
    errors.require(
      min(self.num_filters, self.num_convs) >= 1 and self.anchor_size > 0,
      f"num_filters={self.num_filters}, num_convs={self.num_convs}, "
      f"anchor_size={self.anchor_size}: expected at least 1, at least 1, and "
      "more than 0",
    )

  def task(
    self, *, num_classes: int, image_size: int
  ) -> config_lib.RetinaNetTask:
    """Model Garden's config of the detector.

    Args:
      num_classes: C, without the background.
      image_size: side of the square images in pixels.
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
          pre_nms_score_threshold=_MIN_SCORE, nms_version="batched"
        ),
        norm_activation=common.NormActivation(
          use_sync_bn=False,
          norm_momentum=batch_norm.MOVING_AVERAGE_MOMENTUM,
          norm_epsilon=batch_norm.EPSILON,
        ),
      )
    )

  def anchors(self, image_size: int) -> dict[str, tf.Tensor]:
    """Anchors of square images of this side.

    Returns:
      {level: [h, w, 4 · anchors] float32}, ymin, xmin, ymax, xmax in pixels.
    """
    generate = anchor.build_anchor_generator(
      self.min_level,
      self.max_level,
      _SCALES_PER_LEVEL,
      list(_ASPECT_RATIOS),
      self.anchor_size,
    )
    return generate(image_size=(image_size, image_size))


class Detected(NamedTuple):
  """Detections in a batch, in falling order of score in each image.

  Attributes:
    boxes: [B, R, 4] float32, xmin, ymin, xmax, ymax in pixels of the square
      image.
    scores: [B, R] float32, 0..1.
    class_ids: [B, R] int32, from 0.
    count: [B] int32, number of rows that are detections.
  """

  boxes: tf.Tensor
  scores: tf.Tensor
  class_ids: tf.Tensor
  count: tf.Tensor


class RetinaNet:
  """Maps images to boxes with classes.

  Attributes:
    head_variables: all variables of decoder and heads.
    trainable_head_variables: those that gradients change.
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
    """Builds decoder and heads; `draw_head` sets their initial weights.

    Args:
      encoder: encoder that gives the maps.
      architecture: settings of decoder and heads.
      num_classes: C.
      image_size: side of the square images in pixels.
      frozen: whether the encoder runs in inference mode during training, too.

    Raises:
      UsageError: the levels do not fit the size, or the encoder's maps.
    """
    largest = 2**architecture.max_level
    errors.require(
      image_size % largest == 0,
      f"image_size={image_size}: expected a multiple of {largest}, because the "
      f"coarsest map is of level {architecture.max_level}; change IMAGE_SIZE "
      "or MAX_LEVEL",
    )
    self._size = image_size
    self._maps = EncoderMaps(encoder, architecture.min_level, frozen=frozen)
    self._config = architecture.task(
      num_classes=num_classes, image_size=image_size
    )
    self._task = task_lib.RetinaNetTask(self._config)
    self._labeler = anchor.AnchorLabeler()
    self._anchors = architecture.anchors(image_size)
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
    """Sets decoder and heads to random weights; seeds Keras, too."""
    tf.keras.utils.set_random_seed(seed)
    fresh = self._build()
    self._model.decoder.set_weights(fresh.decoder.get_weights())
    self._model.head.set_weights(fresh.head.get_weights())

  def targets(
    self, example: boxed_images.BoxedImage
  ) -> tuple[tf.Tensor, dict[str, Any]]:
    """Training targets of the anchors of one image, to batch for `loss`.

    Args:
      example: image with any number of boxes, including none.

    Returns:
      The image [H, W, 3] uint8, and Model Garden's labels.
    """
    xmin, ymin, xmax, ymax = tf.unstack(example.boxes, axis=1)
    classes = example.class_ids[:, None] + 1  # 0 is the background.
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
    """Model Garden's focal loss of the classes plus Huber loss of the boxes.

    Args:
      images: [B, size, size, 3] uint8.
      labels: batched results of `targets`.

    Returns:
      [] float32, divided by the number of anchors with an object.
    """
    outputs = self._model(tf.cast(images, tf.float32), training=True)
    outputs = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), outputs)
    total, *_ = self._task.build_losses(outputs, labels)
    return total

  def detect(self, images: tf.Tensor) -> Detected:
    """Detects objects in a batch of images.

    Args:
      images: [B, size, size, 3] uint8.

    Returns:
      The 100 detections of each image with the highest scores, after
      non-maximum suppression within each class at an IoU of 0.5.
    """
    return self._detect(images)

  def _detections(self, images) -> Detected:
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
    return Detected(
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


class EncoderMaps(tf.keras.Model):
  """An encoder as a backbone of Model Garden: images -> maps by level.

  Attributes:
    output_specs: {level: shape of its map}.
  """

  def __init__(
    self, encoder: trainable.TrainableEncoder, min_level: int, *, frozen: bool
  ):
    """Finds the maps.

    Args:
      encoder: encoder that gives the maps.
      min_level: level of the finest map to return.
      frozen: whether the encoder runs in inference mode during training, too.

    Raises:
      UsageError: the encoder lacks a map of the level.
    """
    super().__init__(name="maps")
    self._levels = _levels(encoder, min_level)
    self.output_specs = {
      level: tf.TensorShape([None, None, None, encoder.channels[name]])
      for level, name in self._levels.items()
    }
    # A function, because Keras would track an encoder as a part of this model.
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
  """{level: name of the map} from `min_level` to the encoder's coarsest map."""
  found = {}
  for name, stride in encoder.strides.items():
    if stride & (stride - 1) == 0:  # A power of 2.
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
      f"power of 2 from {2**min_level} px (level {min_level}) to its coarsest; "
      "change MIN_LEVEL, or give another model"
    )
  return levels
