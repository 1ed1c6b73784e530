"""Colour operations on a batch, each image with its own parameters.

Images are planes here, [B, 3, H, W] float32, 0..255: a channel is then
contiguous, which is what vector units want. `tf.image` and
`official.vision.ops.augment` have these operations with one parameter for the
whole batch only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as torchvision and tf.image


class JitterStrength(NamedTuple):
  """Strengths s of torchvision's ColorJitter.

  Factors are drawn from U(max(0, 1 - s), 1 + s); hue from U(-s, s), in turns.
  """

  brightness: float
  contrast: float
  saturation: float
  hue: float


def draw_jitter(
  uniform: Sequence[tf.Tensor], strength: JitterStrength, chosen: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Turns uniform draws into jitter parameters.

  Args:
    uniform: four [B] in 0..1.
    strength: the strengths.
    chosen: [B] bool; the others get parameters that change nothing.

  Returns:
    factors [B, 3] of brightness, contrast, saturation; hue [B] in turns.
  """
  factors = []
  for u, s in zip(uniform, strength[:3]):
    low, high = max(0.0, 1.0 - s), 1.0 + s
    factors.append(tf.where(chosen, low + (high - low) * u, 1.0))
  hue = tf.where(chosen, strength.hue * (2.0 * uniform[3] - 1.0), 0.0)
  return tf.stack(factors, axis=1), hue


def luma(x: tf.Tensor) -> tf.Tensor:
  """[B, 3, H, W] -> [B, 1, H, W]: the grey image."""
  red, green, blue = tf.split(x, 3, axis=1)
  return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def grayscale(x: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
  """Replaces the chosen ([B] bool) images by their grey image."""
  return tf.where(chosen[:, None, None, None], luma(x), x)


def jitter(
  x: tf.Tensor,
  factors: tf.Tensor,
  hue: tf.Tensor,
  order: tf.Tensor,
  hue_position: tf.Tensor,
) -> tf.Tensor:
  """torchvision's ColorJitter.

  Brightness, contrast and saturation come in an order of their own for each
  image; where hue stands among them is one draw for the batch. Over many
  batches all 24 orders are equally likely for an image.

  Args:
    x: [B, 3, H, W], 0..255.
    factors: [B, 3], of brightness, contrast and saturation.
    hue: [B], turns.
    order: [B, 3] int32, a permutation of 0..2 in each row.
    hue_position: [] int32, 0..3: how many of the three come before hue.

  Returns:
    [B, 3, H, W], 0..255.
  """
  factors = tf.gather(factors, order, axis=1, batch_dims=1)  # in their order

  def jitter_with_hue_at(position: int) -> tf.Tensor:
    y = x
    for slot in range(4):
      if slot == position:
        y = shift_hue(y, hue)
      if slot < 3:
        y = blend(y, order[:, slot], factors[:, slot])
    return y

  branches = [lambda p=p: jitter_with_hue_at(p) for p in range(4)]
  return tf.ensure_shape(tf.switch_case(hue_position, branches), x.shape)


def blend(x: tf.Tensor, kind: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Brightness (0), contrast (1) or saturation (2), as each image's kind says.

  All three are clip(factor * x + (1 - factor) * other), where `other` is black,
  the mean of the grey image, or the grey image.

  Args:
    x: [B, 3, H, W], 0..255.
    kind: [B] int32.
    factor: [B].

  Returns:
    [B, 3, H, W], 0..255.
  """
  grey = luma(x)
  rest = 1.0 - factor
  mean = tf.reduce_mean(grey, axis=[1, 2, 3])
  constant = _planes(tf.where(kind == 1, rest * mean, 0.0))
  of_grey = _planes(tf.where(kind == 2, rest, 0.0))
  y = _planes(factor) * x + (of_grey * grey + constant)
  return tf.clip_by_value(y, 0.0, 255.0)


def shift_hue(x: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
  """Turns the hue of HSV; value and saturation stay.

  Args:
    x: [B, 3, H, W], 0..255.
    turns: [B], 1 is the whole colour circle.

  Returns:
    [B, 3, H, W], 0..255.
  """
  red, green, blue = tf.split(x, 3, axis=1)
  value = tf.maximum(tf.maximum(red, green), blue)
  chroma = value - tf.minimum(tf.minimum(red, green), blue)
  scale = 1.0 / tf.where(chroma > 0.0, chroma, 1.0)  # a grey has no hue
  hue = tf.where(
    value == red,
    (green - blue) * scale,
    tf.where(
      value == green,
      (blue - red) * scale + 2.0,
      (red - green) * scale + 4.0,
    ),
  )  # sixths of a turn, -1..5
  hue += 6.0 * _planes(turns)
  channels = []
  for peak in (5.0, 3.0, 1.0):
    k = hue + peak
    k -= 6.0 * tf.floor(k * (1 / 6))  # 0..6
    away = tf.clip_by_value(tf.minimum(k, 4.0 - k), 0.0, 1.0)
    channels.append(value - chroma * away)
  return tf.concat(channels, axis=1)


def _planes(per_image: tf.Tensor) -> tf.Tensor:
  return per_image[:, None, None, None]
