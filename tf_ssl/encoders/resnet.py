"""ResNet-18/34/50 (He et al. 2016), computing the same as torchvision's.

The stride of a bottleneck is in its 3x3 convolution, padding is symmetric, and
batch norm's epsilon is 1e-5, so that PyTorch's weights give the same features.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm as batch_norms
from tf_ssl.encoders import convolution, residual_sum

STEMS = ("imagenet", "small")
STAGE_NAMES = ("C2", "C3", "C4", "C5")
STAGE_WIDTHS = (64, 128, 256, 512)


class Residual(tf.keras.layers.Layer):
  """Residual block: convolutions plus a shortcut, then ReLU.

  Attributes:
    always_project: whether the shortcut is a convolution even if input and
      output have the same shape; set it before the layer is built.
  """

  def __init__(self, stack, *, out_channels, strides, batch_norm, dtype, name):
    """Creates the layers; `stack` is [(filters, kernel_size, strides), ...]."""
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
    compiled = training and residual_sum.is_faster(maps)
    maps, shortcut = residual_sum.fork(maps) if compiled else (maps, maps)
    if self.shortcut is not None:
      shortcut = self.shortcut_norm(self.shortcut(shortcut), training=training)
    last = len(self.convolutions) - 1
    for i, (conv, norm) in enumerate(
      zip(self.convolutions, self.norms, strict=True)
    ):
      maps = conv(maps)
      if i < last:
        maps = batch_norms.relu_of(norm, maps, training)
      else:
        maps = norm(maps, training=training)
    if compiled:
      return residual_sum.relu_of_sum(maps, shortcut)
    return tf.nn.relu(maps + shortcut)


def basic_stack(width: int, strides: int):
  """Layers of a basic block (ResNet-18 and 34): two 3x3 convolutions."""
  return [(width, 3, strides), (width, 3, 1)]


def bottleneck_stack(width: int, strides: int):
  """Layers of a bottleneck (ResNet-50): 1x1, 3x3, 1x1 of 4 times the width."""
  return [(width, 1, 1), (width, 3, strides), (4 * width, 1, 1)]


# Depth -> layers of a residual block, number of blocks in each stage.
LAYOUTS = {
  18: (basic_stack, (2, 2, 2, 2)),
  34: (basic_stack, (3, 4, 6, 3)),
  50: (bottleneck_stack, (3, 4, 6, 3)),
}


class ResNet(tf.keras.Model):
  """Encoder: normalized images [B, H, W, 3] -> feature [B, D], float32.

  Attributes:
    feature_size: D.
    stack: function of width and strides that returns the layers of a block.
    blocks: number of residual blocks in each of the four stages.
    width: factor of the number of channels.
    stem: "imagenet" or "small".
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
    """Creates the layers.

    Args:
      stack: `basic_stack` or `bottleneck_stack`.
      blocks: number of residual blocks in each of the four stages.
      width: factor of the number of channels.
      stem: "imagenet" or "small", as in `resnet18`.
      batch_norm: function of `encoders.batch_norm` that builds a layer.
      dtype: Keras dtype policy.
      name: name of the Keras model.

    Raises:
      UsageError: the stem is unknown, or the width leaves no channel.
    """
    errors.require(
      stem in STEMS,
      f"stem={stem!r}: expected one of {', '.join(STEMS)}; change `stem`",
    )
    widths = [int(round(w * width)) for w in STAGE_WIDTHS]
    errors.require(
      min(widths) >= 1,
      f"width={width}: the first stage has no channels; expected more than"
      " 1/128; change `width`",
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
    """Feature maps after each stage.

    Args:
      images: [B, H, W, 3], normalized.
      training: whether batch norm uses and updates batch statistics.

    Returns:
      C2, C3, C4, C5: [B, H/s, W/s, C], s = 4, 8, 16, 32 with the ImageNet stem
      and 1, 2, 4, 8 with the small stem.
    """
    maps = self.stem_maps(tf.cast(images, self.compute_dtype), training)
    result = {}
    for name, stage in zip(STAGE_NAMES, self.stages, strict=True):
      for block in stage:
        maps = block(maps, training=training)
      result[name] = maps
    return result

  def stem_maps(self, images, training=None) -> tf.Tensor:
    """Input of the first stage: [B, H, W, 3] -> [B, H', W', C]."""
    maps = self.stem_conv(images)
    maps = batch_norms.relu_of(self.stem_norm, maps, training)
    if self.stem == "imagenet":
      maps = convolution.max_pool_after_relu(maps)
    return maps

  def call(self, images, training=None):
    """Feature: [B, H, W, 3] -> [B, D] float32, the mean over C5's positions."""
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
    width: factor of the number of channels in all layers.
    stem: "imagenet" (7x7 with stride 2, max-pool) or "small" (3x3 with stride
      1, for images of about 32 px, as in MoCo's CIFAR-10 notebook).
    batch_norm: function of `encoders.batch_norm` that builds a layer.
    dtype: Keras dtype policy, such as "mixed_bfloat16".
    name: name of the Keras model.

  Raises:
    UsageError: the stem is unknown, or the width leaves no channel.
  """
  return _resnet(
    18, width=width, stem=stem, batch_norm=batch_norm, dtype=dtype, name=name
  )


def resnet34(**kwargs) -> ResNet:
  """ResNet-34: D = 512 · width, with the arguments of `resnet18`."""
  return _resnet(34, **kwargs)


def resnet50(**kwargs) -> ResNet:
  """ResNet-50: D = 2048 · width, with the arguments of `resnet18`."""
  return _resnet(50, **kwargs)


def _resnet(depth, *, width=1.0, stem="imagenet", **kwargs) -> ResNet:
  stack, blocks = LAYOUTS[depth]
  kwargs.setdefault("batch_norm", batch_norms.plain)
  return ResNet(stack=stack, blocks=blocks, width=width, stem=stem, **kwargs)
