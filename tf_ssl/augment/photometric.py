"""Color operations on a batch, with parameters for each image.

They work on the planes of `augment.planes`. In `tf.image` and
`official.vision.ops.augment` these operations have one parameter for a batch.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import planes as planes_lib

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and tf.image.
_OPERATIONS = 4


class JitterStrength(NamedTuple):
  """Strengths s of torchvision's ColorJitter.

  Attributes:
    brightness: strength of the factor, drawn from U(max(0, 1 - s), 1 + s).
    contrast: strength of the factor, drawn from U(max(0, 1 - s), 1 + s).
    saturation: strength of the factor, drawn from U(max(0, 1 - s), 1 + s).
    hue: strength of the shift, drawn from U(-s, s), in turns.
  """

  brightness: float
  contrast: float
  saturation: float
  hue: float


class Jitter(NamedTuple):
  """Random parameters of the color jitter of a batch.

  Attributes:
    brightness: [B], factor of the brightness; 1 changes nothing.
    contrast: [B], factor of the contrast; 1 changes nothing.
    saturation: [B], factor of the saturation; 1 changes nothing.
    hue: [B], shift of the hue in turns; 0 changes nothing.
    saturation_first: [B] bool, whether saturation and brightness are exchanged
      in `order`.
    order: [4] int32, order of the operations in the batch: 0 brightness,
      1 contrast, 2 saturation, 3 hue.
  """

  brightness: tf.Tensor
  contrast: tf.Tensor
  saturation: tf.Tensor
  hue: tf.Tensor
  saturation_first: tf.Tensor
  order: tf.Tensor


def draw_jitter(
  uniform: tf.Tensor,
  order: tf.Tensor,
  *,
  strength: JitterStrength,
  probability: float,
) -> Jitter:
  """Converts uniform random numbers to jitter parameters.

  Args:
    uniform: [B, 6], random numbers in 0..1.
    order: [4], random numbers in 0..1.
    strength: strengths of the four operations.
    probability: probability of jitter; other images get parameters that change
      nothing.
  """
  chosen = uniform[:, 0] < probability
  factors = []
  for column, s in zip((1, 2, 3), strength[:3], strict=True):
    low, high = max(0.0, 1.0 - s), 1.0 + s
    factor = low + (high - low) * uniform[:, column]
    factors.append(tf.where(chosen, factor, 1.0))
  turns = strength.hue * (2.0 * uniform[:, 4] - 1.0)
  return Jitter(
    *factors,
    hue=tf.where(chosen, turns, 0.0),
    saturation_first=uniform[:, 5] < 0.5,
    order=tf.argsort(order),
  )


def jitter(
  planes: tf.Tensor,
  draws: Jitter,
  border: int = 0,
  *,
  then_gray: tf.Tensor | None = None,
  compiled: bool = False,
) -> tf.Tensor:
  """Torchvision's ColorJitter: four operations in a random order.

  The order is random for the batch; each image may exchange brightness and
  saturation. Over many batches, all 24 orders of an image are equally likely.

  Args:
    planes: [B, 3, H', W'], 0..255.
    draws: parameters of the images.
    border: width of the border, pixels.
    then_gray: [B] bool, images to convert to grayscale afterwards, in one pass
      with the last operation.
    compiled: whether XLA compiles the steps.

  Returns:
    [B, 3, H', W'] float32, 0..255.
  """
  first = tf.where(draws.saturation_first, draws.saturation, draws.brightness)
  second = tf.where(draws.saturation_first, draws.brightness, draws.saturation)
  steps = (
    (blend, first, draws.saturation_first),
    (adjust_contrast, draws.contrast, border),
    (blend, second, ~draws.saturation_first),
    (shift_hue, draws.hue),
  )
  shape = planes.shape
  for slot in range(_OPERATIONS):
    fuse_gray = then_gray is not None and slot == _OPERATIONS - 1

    def branch(step, *args, x=planes, fuse_gray=fuse_gray):
      if fuse_gray:
        return planes_lib.call(_THEN_GRAY[step], compiled, x, then_gray, *args)
      return planes_lib.call(step, compiled, x, *args)

    planes = tf.switch_case(
      draws.order[slot], [functools.partial(branch, *step) for step in steps]
    )
    planes = tf.ensure_shape(planes, shape)
  return planes


def luma(planes: tf.Tensor) -> tf.Tensor:
  """Gray images: [B, 3, H', W'] -> [B, 1, H', W']."""
  red, green, blue = tf.split(planes, 3, axis=1)
  return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def grayscale(planes: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
  """Converts the chosen images, [B] bool, to grayscale."""
  planes = tf.cast(planes, tf.float32)
  return tf.where(planes_lib.per_image(chosen), luma(planes), planes)


def blend(
  planes: tf.Tensor, factor: tf.Tensor, with_gray: tf.Tensor
) -> tf.Tensor:
  """Adjusts the saturation of some images and the brightness of the others.

  The result is clip(factor * x + (1 - factor) * other), where `other` is the
  gray image for saturation and black for brightness.

  Args:
    planes: [B, 3, H', W'], 0..255.
    factor: [B], factor of saturation or brightness.
    with_gray: [B] bool, images whose saturation is adjusted.
  """
  planes = tf.cast(planes, tf.float32)
  rest = planes_lib.per_image(tf.where(with_gray, 1.0 - factor, 0.0))
  y = planes_lib.per_image(factor) * planes + rest * luma(planes)
  return tf.clip_by_value(y, 0.0, 255.0)


def adjust_contrast(
  planes: tf.Tensor, factor: tf.Tensor, border: int = 0
) -> tf.Tensor:
  """Contrast: clip(factor * x + (1 - factor) * mean of the gray image)."""
  planes = tf.cast(planes, tf.float32)
  mean = planes_lib.interior_mean(luma(planes), border)
  rest = planes_lib.per_image((1.0 - factor) * mean)
  y = planes_lib.per_image(factor) * planes + rest
  return tf.clip_by_value(y, 0.0, 255.0)


def shift_hue(planes: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
  """Shifts the hue of HSV; value and saturation stay.

  Args:
    planes: [B, 3, H', W'], 0..255.
    turns: [B], shift in turns of the color circle.
  """
  planes = tf.cast(planes, tf.float32)
  red, green, blue = tf.split(planes, 3, axis=1)
  value = tf.maximum(tf.maximum(red, green), blue)
  chroma = value - tf.minimum(tf.minimum(red, green), blue)
  scale = 1.0 / tf.maximum(chroma, 1e-6)  # Gray has no hue.
  hue = tf.where(
    value == red,
    (green - blue) * scale,
    tf.where(
      value == green,
      (blue - red) * scale + 2.0,
      (red - green) * scale + 4.0,
    ),
  )  # In sixths of a turn, -1..5.
  k = hue + 6.0 * planes_lib.per_image(turns)
  k += tf.constant([5.0, 3.0, 1.0])[:, None, None]  # Red, green, blue.
  k -= 6.0 * tf.floor(k / 6.0)
  away = tf.clip_by_value(tf.minimum(k, 4.0 - k), 0.0, 1.0)
  return value - chroma * away


def _followed_by_gray(
  step: Callable[..., tf.Tensor],
) -> Callable[..., tf.Tensor]:
  def both(planes: tf.Tensor, chosen: tf.Tensor, *args) -> tf.Tensor:
    return grayscale(step(planes, *args), chosen)

  return both


# Created once, because `planes.call` compiles each function once.
_THEN_GRAY = {
  step: _followed_by_gray(step) for step in (blend, adjust_contrast, shift_hue)
}
