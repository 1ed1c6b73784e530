"""A segmentation network: an encoder with a decoder and head of Model Garden.

Decoder and head are layers of tf-models-official (`official.vision.modeling`).
"fcn" (Long et al. 2015) is its segmentation head on the last map.
"deeplabv3plus" (Chen et al. 2018) is atrous spatial pyramid pooling, whose
result the head fuses with a map of higher resolution.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm
from tf_ssl.models import trainable

DECODERS = ("fcn", "deeplabv3plus")
_LAST = "C5"
# Dilations of the pyramid in pixels of the image: DeepLabv3+'s rates 6, 12 and
# 18 at an output stride of 16 (section 3). Our maps may have another stride.
_DILATIONS = (96, 192, 288)
# Stride in pixels and channels of the fused map (DeepLabv3+, 3 and 4.1).
_FINE_STRIDE = 4
_FINE_FILTERS = 48
_NORM = {  # Batch norm of our encoders.
  "norm_momentum": batch_norm.MOVING_AVERAGE_MOMENTUM,
  "norm_epsilon": batch_norm.EPSILON,
}


class _Head(tf.keras.Model):
  """Decoder and head: maps -> logits."""

  def __init__(self, strides, fine, *, num_classes, num_filters):
    super().__init__(name="segmentation")
    # Imported here because `official` takes seconds.
    from official.vision.modeling.decoders import aspp
    from official.vision.modeling.heads import segmentation_heads

    self._decoder = None
    fusion = {}
    if fine is not None:
      self._decoder = aspp.ASPP(
        level=_level(_LAST),
        dilation_rates=[
          max(1, round(pixels / strides[_LAST])) for pixels in _DILATIONS
        ],
        num_filters=num_filters,
        **_NORM,
      )
      fusion = {
        "feature_fusion": "deeplabv3plus",
        "low_level": _level(fine),
        "low_level_num_filters": _FINE_FILTERS,
      }
    self._head = segmentation_heads.SegmentationHead(
      num_classes,
      level=_level(_LAST),
      num_filters=num_filters,
      **_NORM,
      **fusion,
    )

  def call(self, maps, training=None):
    maps = {str(_level(name)): values for name, values in maps.items()}
    decoded = maps
    if self._decoder is not None:
      decoded = self._decoder(maps, training=training)
    # The head has no argument `training`; Keras passes the mode to its layers.
    return self._head((maps, decoded), training=training)


class SegmentationNetwork:
  """Maps images to a score of each class at each position of a map.

  Attributes:
    head_variables: all variables of decoder and head.
    trainable_head_variables: those that gradients change.
  """

  def __init__(
    self,
    encoder: trainable.TrainableEncoder,
    *,
    decoder: str,
    num_classes: int,
    num_filters: int = 256,
    frozen: bool,
  ):
    """Builds decoder and head; `draw_head` sets their initial weights.

    Args:
      encoder: encoder that gives the maps.
      decoder: "fcn" or "deeplabv3plus".
      num_classes: C.
      num_filters: channels of decoder and head.
      frozen: whether the encoder runs in inference mode during training, too.

    Raises:
      UsageError: the decoder is unknown, or the encoder lacks a map for it.
    """
    errors.require(
      decoder in DECODERS,
      f"decoder={decoder!r}: expected one of {', '.join(DECODERS)}; change "
      "DECODER",
    )
    strides = encoder.strides
    others = {name: each for name, each in strides.items() if name != _LAST}
    fine = None
    if decoder == "deeplabv3plus" and others:
      fine = min(others, key=lambda name: abs(others[name] - _FINE_STRIDE))
    if _LAST not in strides or (decoder == "deeplabv3plus" and fine is None):
      raise errors.UsageError(
        f"model {encoder.name!r} has the maps {', '.join(strides)}, but "
        f"{decoder} needs {_LAST}{' and a finer one' if not fine else ''}; "
        "change DECODER, or give another model"
      )
    self._encoder, self._frozen = encoder, frozen
    self._needed = {_LAST, fine} - {None}
    self._make_head = lambda: _Head(
      strides,
      fine,
      num_classes=num_classes,
      num_filters=num_filters,
    )
    self._head = self._make_head()
    self._build(self._head)
    self.head_variables: Sequence[tf.Variable] = self._head.variables
    self.trainable_head_variables: Sequence[tf.Variable] = (
      self._head.trainable_variables
    )
    self._infer = tf.function(
      lambda images: self.logits(images, False),
      input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
    )

  def draw_head(self, seed: int) -> None:
    """Sets decoder and head to random weights; seeds Keras, too."""
    tf.keras.utils.set_random_seed(seed)
    fresh = self._make_head()
    self._build(fresh)
    self._head.set_weights(fresh.get_weights())

  def logits(self, images: tf.Tensor, training: bool) -> tf.Tensor:
    """Scores of all classes.

    Args:
      images: [B, H, W, 3] uint8 or float, 0..255.
      training: whether batch norm uses the batch's statistics and updates its
        own, in the head and in an encoder that is not frozen.

    Returns:
      [B, h, w, C] float32, at the resolution of the head's map.
    """
    maps = self._encoder.endpoints(
      tf.cast(images, tf.float32), training and not self._frozen
    )
    maps = {name: maps[name] for name in self._needed}
    return tf.cast(self._head(maps, training=training), tf.float32)

  def loss(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of a training batch, averaged over pixels with a class.

    Args:
      images: [B, H, W, 3] uint8 or float, 0..255.
      labels: [B, H, W] int32, class of each pixel; negative for void.

    Returns:
      [] float32; 0 if all pixels are void.
    """
    logits = tf.image.resize(self.logits(images, True), tf.shape(labels)[1:])
    counted = tf.cast(labels >= 0, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
      tf.maximum(labels, 0), logits
    )
    return tf.math.divide_no_nan(
      tf.reduce_sum(losses * counted), tf.reduce_sum(counted)
    )

  def predict(self, image: tf.Tensor, sides: tuple[int, int]) -> np.ndarray:
    """The class of each pixel of one image.

    Args:
      image: [1, h, w, 3] float32, 0..255.
      sides: H and W, height and width of the image's mask.

    Returns:
      [H, W] int32, the class with the largest interpolated score.
    """
    return largest(self._infer(image)[0].numpy(), sides)

  def _build(self, head: tf.keras.Model) -> None:
    head(
      {
        name: tf.zeros([1, 4, 4, self._encoder.channels[name]])
        for name in self._needed
      },
      training=False,
    )


def largest(logits: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
  """The class with the largest score after interpolation to another size.

  It interpolates one class at a time, so that memory does not grow with C.

  Args:
    logits: [h, w, C] float32, scores.
    sides: H and W, height and width of the result.

  Returns:
    [H, W] int32, class of each pixel; the first of equal scores.
  """
  best = np.full(sides, -np.inf, np.float32)
  classes = np.zeros(sides, np.int32)
  for number in range(logits.shape[2]):
    scores = cv2.resize(
      np.ascontiguousarray(logits[..., number]),
      (sides[1], sides[0]),
      interpolation=cv2.INTER_LINEAR,
    )
    better = scores > best
    classes[better] = number
    np.maximum(best, scores, out=best)
  return classes


def _level(name: str) -> int:
  """Model Garden's level of a map: 5 for "C5"."""
  return int(name[1:])
