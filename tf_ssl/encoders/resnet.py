"""ResNet-18/34/50 (He et al. 2016), the same network as torchvision's.

Bottlenecks stride on their 3x3 convolution, padding is symmetric, batch norm's
epsilon is 1e-5: weights from PyTorch give the same features.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm as batch_norms
from tf_ssl.encoders import convolution

STEMS = ("imagenet", "small")
STAGE_NAMES = ("C2", "C3", "C4", "C5")
STAGE_WIDTHS = (64, 128, 256, 512)


class Residual(tf.keras.layers.Layer):
  """A sum of a stack of convolutions and a shortcut, then ReLU.

  Attributes:
    always_project: whether the shortcut is a convolution also where the sizes
      do not ask for one; to be set before the layer is built.
  """

  def __init__(self, stack, *, out_channels, strides, batch_norm, dtype, name):
    """Takes `stack`: [(filters, kernel_size, strides)], applied in turn."""
    super().__init__(dtype=dtype, name=name)
    self.convolutions = [
      convolution.Convolution(
        filters, size, strides=stride, dtype=dtype, name=f"conv{i}"
      )
      for i, (filters, size, stride) in enumerate(stack, 1)
    ]
    self.norms = [
      batch_norm(dtype=dtype, name=f"norm{i}") for i in range(1, len(stack) + 1)
    ]
    self._out_channels = out_channels
    self._strides = strides
    self._batch_norm = batch_norm
    self.always_project = False
    self.shortcut = None
    self.shortcut_norm = None

  def build(self, input_shape):
    if (
      self.always_project
      or self._strides > 1
      or input_shape[-1] != self._out_channels
    ):
      self.shortcut = convolution.Convolution(
        self._out_channels,
        1,
        strides=self._strides,
        dtype=self.dtype_policy,
        name="shortcut",
      )
      self.shortcut_norm = self._batch_norm(
        dtype=self.dtype_policy, name="shortcut_norm"
      )
    super().build(input_shape)

  def call(self, maps, training=None):
    shortcut = maps
    if self.shortcut is not None:
      shortcut = self.shortcut_norm(self.shortcut(maps), training=training)
    last = len(self.convolutions) - 1
    for i, (conv, norm) in enumerate(
      zip(self.convolutions, self.norms, strict=True)
    ):
      maps = norm(conv(maps), training=training)
      if i < last:
        maps = tf.nn.relu(maps)
    return tf.nn.relu(maps + shortcut)


def basic_stack(width: int, strides: int):
  """Two 3x3 convolutions: ResNet-18 and 34."""
  return [(width, 3, strides), (width, 3, 1)]


def bottleneck_stack(width: int, strides: int):
  """1x1, 3x3, 1x1 to four times the width: ResNet-50."""
  return [(width, 1, 1), (width, 3, strides), (4 * width, 1, 1)]


# Depth -> what a residual block is made of, and how many each stage has.
LAYOUTS = {
  18: (basic_stack, (2, 2, 2, 2)),
  34: (basic_stack, (3, 4, 6, 3)),
  50: (bottleneck_stack, (3, 4, 6, 3)),
}


class ResNet(tf.keras.Model):
  """An encoder: normalized images [B, H, W, 3] -> feature [B, D], float32.

  Attributes:
    feature_size: D.
    stack, blocks, width, stem: as given.
  """

  def __init__(
    self,
    *,
    stack: Callable,
    blocks: tuple[int, ...],
    width: float,
    stem: str,
    batch_norm: Callable,
    dtype=None,
    name: str = "backbone",
  ):
    """Builds the layers; `resnet18` describes the other arguments.

    `stack` is `basic_stack` or `bottleneck_stack`, `blocks` the number of
    residual blocks in each of the four stages.
    """
    if stem not in STEMS:
      raise errors.UsageError(
        f"stem={stem!r}: expected one of {', '.join(STEMS)}; change `stem`."
      )
    widths = [int(round(w * width)) for w in STAGE_WIDTHS]
    if min(widths) < 1:
      raise errors.UsageError(
        f"width={width}: leaves no channel in the first stage; expected more"
        " than 1/128; change `width`."
      )
    super().__init__(dtype=dtype, name=name)
    self.stack = stack
    self.blocks = blocks
    self.width = width
    self.stem = stem
    policy = self.dtype_policy
    self.stem_conv = convolution.Convolution(
      widths[0],
      7 if stem == "imagenet" else 3,
      strides=2 if stem == "imagenet" else 1,
      dtype=policy,
      name="stem_conv",
    )
    self.stem_norm = batch_norm(dtype=policy, name="stem_norm")
    self.stages = []
    for stage, count in enumerate(blocks):
      layers = []
      for block in range(count):
        strides = 2 if stage > 0 and block == 0 else 1
        convolutions = stack(widths[stage], strides)
        layers.append(
          Residual(
            convolutions,
            out_channels=convolutions[-1][0],
            strides=strides,
            batch_norm=batch_norm,
            dtype=policy,
            name=f"stage{stage + 2}_block{block}",
          )
        )
      self.stages.append(layers)
    self.feature_size = stack(widths[-1], 1)[-1][0]

  def endpoints(self, images, training=None) -> dict[str, tf.Tensor]:
    """The maps after each stage.

    Args:
      images: [B, H, W, 3], normalized.
      training: whether batch norm uses and updates batch statistics.

    Returns:
      C2, C3, C4, C5: [B, H/s, W/s, C], s = 4, 8, 16, 32 for the ImageNet stem
      and 1, 2, 4, 8 for the small one.
    """
    maps = self.stem_maps(tf.cast(images, self.compute_dtype), training)
    result = {}
    for name, stage in zip(STAGE_NAMES, self.stages, strict=True):
      for block in stage:
        maps = block(maps, training=training)
      result[name] = maps
    return result

  def stem_maps(self, images, training=None) -> tf.Tensor:
    """What the first stage is given."""
    maps = self.stem_norm(self.stem_conv(images), training=training)
    maps = tf.nn.relu(maps)
    if self.stem == "imagenet":
      maps = convolution.max_pool_after_relu(maps)
    return maps

  def call(self, images, training=None):
    """[B, H, W, 3] -> [B, D] float32: the mean over C5's places."""
    last = self.endpoints(images, training=training)["C5"]
    return tf.reduce_mean(tf.cast(last, tf.float32), axis=[1, 2])


def resnet18(
  *,
  width: float = 1.0,
  stem: str = "imagenet",
  batch_norm: Callable = batch_norms.plain,
  dtype=None,
  name: str = "backbone",
) -> ResNet:
  """ResNet-18: D = 512 · width.

  Args:
    width: multiplies the number of channels everywhere.
    stem: "imagenet" (7x7 stride 2, max-pool) or "small" (3x3 stride 1, for
      images of about 32 px, as in MoCo's CIFAR-10 notebook).
    batch_norm: builds one normalization layer; see `encoders.batch_norm`.
    dtype: Keras dtype policy, such as "mixed_bfloat16".
    name: name of the Keras model.

  Raises:
    UsageError: unknown stem, or a width that leaves no channel.
  """
  stack, blocks = LAYOUTS[18]
  return ResNet(
    stack=stack,
    blocks=blocks,
    width=width,
    stem=stem,
    batch_norm=batch_norm,
    dtype=dtype,
    name=name,
  )


def resnet34(**kwargs) -> ResNet:
  """ResNet-34: D = 512 · width. Arguments as `resnet18`."""
  stack, blocks = LAYOUTS[34]
  return ResNet(stack=stack, blocks=blocks, **_with_defaults(kwargs))


def resnet50(**kwargs) -> ResNet:
  """ResNet-50: D = 2048 · width. Arguments as `resnet18`."""
  stack, blocks = LAYOUTS[50]
  return ResNet(stack=stack, blocks=blocks, **_with_defaults(kwargs))


def _with_defaults(kwargs):
  return {
    "width": 1.0,
    "stem": "imagenet",
    "batch_norm": batch_norms.plain,
    **kwargs,
  }
