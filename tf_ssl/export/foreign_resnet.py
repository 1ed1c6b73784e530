"""ResNets of other projects that differ from torchvision's.

With their weights, torchvision's network would compute other features. The
difference is recorded, and the encoder computes what the project computes.
"""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from tf_ssl.encoders import convolution, resnet
from tf_ssl.ops import pixels

STEM_PADDINGS = (1, 2, 3)  # Of a kernel of 3x3, pixels.


@dataclasses.dataclass(frozen=True)
class Difference:
  """Difference of a network from torchvision's.

  Attributes:
    unit_range: whether pixels are scaled to 0..1 instead of normalized.
    same_max_pool: whether the max-pool has TensorFlow's SAME padding instead of
      padding on both sides.
    always_project: whether the first shortcut of each stage is a convolution.
    stem_padding: padding of the small stem's convolution, pixels.
    stem_relu: whether a ReLU follows the normalization of the stem.
  """

  unit_range: bool = False
  same_max_pool: bool = False
  always_project: bool = False
  stem_padding: int = 1
  stem_relu: bool = True

  def described(self) -> dict[str, object]:
    """Values that differ from torchvision's by name, for provenance.json."""
    return {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
      if getattr(self, field.name) != field.default
    }

  @classmethod
  def from_described(cls, values: Mapping[str, object]) -> "Difference":
    """The difference that `described` gave.

    Args:
      values: values by name, of JSON.

    Raises:
      ValueError: a name or a value is of another kind.
    """
    for name, value in values.items():
      known = cls.__dataclass_fields__.get(name)
      if known is None or type(value) is not type(known.default):
        raise ValueError(f"{name}={value!r}")
    found = cls(**values)
    if found.stem_padding not in STEM_PADDINGS:
      raise ValueError(f"stem_padding={found.stem_padding}")
    return found


class ForeignResNet(resnet.ResNet):
  """ResNet with a difference; normalized images [B, H, W, 3] -> [B, D]."""

  def __init__(self, *, difference: Difference, **kwargs):
    """Creates the layers.

    Args:
      difference: difference from torchvision's network.
      **kwargs: arguments of `resnet.ResNet`.
    """
    super().__init__(**kwargs)
    self.difference = difference
    for stage in self.stages:
      stage[0].always_project = difference.always_project

  def stem_maps(self, images, training=None):
    difference = self.difference
    if difference.unit_range:
      # Not folded into the weights, because the padding of 0 must be black.
      deviation = tf.constant(pixels.IMAGENET_STD, images.dtype)
      mean = tf.constant(pixels.IMAGENET_MEAN, images.dtype)
      images = (images * deviation + mean) / 255
    more = difference.stem_padding - 1  # The convolution pads by 1.
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
