"""Model Garden's RetinaNet (Lin et al. 2017) on the maps of an encoder.

Decoder (FPN), heads, anchors, losses and the choice of detections are
tf-models-official's; the encoder is whatever gives maps.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from official.vision.modeling import factory
from official.vision.ops import anchor
from official.vision.tasks import retinanet as task_lib

from tf_ssl import errors
from tf_ssl.evaluation.detection import architecture as architecture_lib
from tf_ssl.evaluation.detection import encoder_maps
from tf_ssl.input_pipeline import boxed_images
from tf_ssl.models import trainable


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
    architecture: architecture_lib.Architecture,
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
    self._maps = encoder_maps.EncoderMaps(
      encoder, architecture.min_level, frozen=frozen
    )
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
