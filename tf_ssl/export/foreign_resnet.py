"""ResNets of other projects that are not quite torchvision's.

Their weights in our encoder unchanged would give other features, so what
differs is written down and computed as theirs.
"""

import dataclasses

import tensorflow as tf

from tf_ssl.encoders import convolution, resnet
from tf_ssl.ops import pixels


@dataclasses.dataclass(frozen=True)
class Difference:
  """How a network differs from torchvision's with the same weights.

  Attributes:
    unit_range: it takes pixels in 0..1, with no mean and deviation taken off.
    same_max_pool: its max-pool pads as TensorFlow's SAME, not on both sides.
    always_project: each stage's first shortcut is a convolution.
    stem_padding: pixels around the image before the small stem's convolution.
    stem_relu: whether a ReLU follows the small stem's normalization.
  """

  unit_range: bool = False
  same_max_pool: bool = False
  always_project: bool = False
  stem_padding: int = 1
  stem_relu: bool = True

  def described(self) -> dict[str, object]:
    """What differs, for provenance.json; empty for torchvision's network."""
    return {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
      if getattr(self, field.name) != field.default
    }


class ForeignResNet(resnet.ResNet):
  """ResNet with a difference: normalized images [B, H, W, 3] -> [B, D]."""

  def __init__(self, *, difference: Difference, **kwargs):
    """Builds the layers; the other arguments are `resnet.ResNet`'s."""
    super().__init__(**kwargs)
    self.difference = difference
    for stage in self.stages:
      stage[0].always_project = difference.always_project

  def stem_maps(self, images, training=None):
    difference = self.difference
    if difference.unit_range:
      # Undone, not folded into the weights: the padding of 0 is black there.
      deviation = tf.constant(pixels.IMAGENET_STD, images.dtype)
      mean = tf.constant(pixels.IMAGENET_MEAN, images.dtype)
      images = (images * deviation + mean) / 255
    more = difference.stem_padding - 1  # beside what the convolution pads
    if more:
      images = tf.pad(images, [[0, 0], [more, more], [more, more], [0, 0]])
    maps = self.stem_norm(self.stem_conv(images), training=training)
    if difference.stem_relu:
      maps = tf.nn.relu(maps)
    if self.stem == "imagenet":
      if difference.same_max_pool:
        return tf.nn.max_pool2d(maps, 3, 2, "SAME")
      return convolution.max_pool_after_relu(maps)
    return maps
