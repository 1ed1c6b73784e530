"""PIRL's photometric operations with Pillow's results.

VISSL applies four operations to a fraction of the views: posterize, sharpness,
solarize, autocontrast. In `tfa.image` and `official.vision.ops.augment` they
have one parameter for a batch.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import planes as planes_lib

# VISSL's ranges (pil_photometric_transforms_lib).
_BITS = (4, 8)
_SHARPNESS = (0.1, 1.9)
_THRESHOLDS = (0, 256)


class Draws(NamedTuple):
  """Random parameters of the operations.

  Attributes:
    chosen: [B] bool, images to change.
    bits: [B] float, number of bits that posterize keeps, 4..8.
    sharpness: [B], 0 smooths, 1 changes nothing, 2 sharpens.
    threshold: [B], lowest gray level that solarize inverts, 0..256.
  """

  chosen: tf.Tensor
  bits: tf.Tensor
  sharpness: tf.Tensor
  threshold: tf.Tensor


def draw(uniform: tf.Tensor, *, probability: float) -> Draws:
  """Converts uniform numbers [B, 4] to the parameters of B images."""

  def integer(column: int, ends: tuple[int, int]) -> tf.Tensor:
    low, high = ends
    return low + tf.floor((high - low + 1.0) * uniform[:, column])

  low, high = _SHARPNESS
  return Draws(
    chosen=uniform[:, 0] < probability,
    bits=integer(1, _BITS),
    sharpness=low + (high - low) * uniform[:, 2],
    threshold=integer(3, _THRESHOLDS),
  )


def apply(planes: tf.Tensor, draws: Draws, border: int = 0) -> tf.Tensor:
  """Applies all four operations to the chosen images.

  Args:
    planes: [B, 3, H', W'], 0..255.
    draws: parameters of the images.
    border: width of the border, pixels.

  Returns:
    [B, 3, H', W'] float32; chosen images have integer values.
  """
  planes = tf.cast(planes, tf.float32)
  x = posterize(tf.round(planes), draws.bits)
  x = sharpen(x, draws.sharpness, border)
  x = solarize(x, draws.threshold)
  x = autocontrast(x)
  return tf.where(planes_lib.per_image(draws.chosen), x, planes)


def posterize(planes: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
  """Keeps the highest `bits`, [B], 1..8, of each value."""
  step = planes_lib.per_image(tf.pow(2.0, 8.0 - bits))
  return tf.floor(planes / step) * step


def sharpen(planes: tf.Tensor, factor: tf.Tensor, border: int) -> tf.Tensor:
  """Extrapolates from a smoothed image (factor > 1) or blends with it (< 1).

  The smoothed image is Pillow's SMOOTH: the mean over 3x3 pixels with weight 5
  for the center. The outermost pixels of an image stay.

  Args:
    planes: [B, 3, H', W'], 0..255.
    factor: [B], 0 for the smoothed image, 1 for no change.
    border: width of the border, pixels.
  """
  height, width = planes.shape[2:]
  rows = planes[:, :, :-2] + planes[:, :, 1:-1] + planes[:, :, 2:]
  total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
  smooth = tf.floor((total + 4.0 * planes[:, :, 1:-1, 1:-1]) / 13.0 + 0.5)
  smooth = tf.pad(smooth, [[0, 0], [0, 0], [1, 1], [1, 1]])
  edge = border + 1
  inside = tf.pad(
    tf.ones([height - 2 * edge, width - 2 * edge], tf.bool), [[edge, edge]] * 2
  )
  factor = planes_lib.per_image(factor)
  blended = tf.floor(factor * planes + (1.0 - factor) * smooth)
  return tf.where(inside, tf.clip_by_value(blended, 0.0, 255.0), planes)


def solarize(planes: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
  """Inverts values of at least `threshold`, [B]."""
  bright = planes >= planes_lib.per_image(threshold)
  return tf.where(bright, 255.0 - planes, planes)


def autocontrast(planes: tf.Tensor) -> tf.Tensor:
  """Scales each channel of each image to 0..255; constant channels stay."""
  low = tf.reduce_min(planes, axis=[2, 3], keepdims=True)
  high = tf.reduce_max(planes, axis=[2, 3], keepdims=True)
  scale = 255.0 / tf.maximum(high - low, 1.0)
  stretched = tf.clip_by_value(tf.floor((planes - low) * scale), 0.0, 255.0)
  return tf.where(high > low, stretched, planes)
