"""Copies the objects of a view onto the background of another image."""

import dataclasses

import tensorflow as tf

from tf_ssl import errors


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackgroundChange:
  """Replaces what is not an object by a view of another image.

  The two views of an image then share objects and no background, which
  otherwise carries much of what they have in common. Each view draws on its
  own.

  Attributes:
    probability: probability that the background of a view changes.
    min_object: smallest share of the view that objects cover; a view with less
      stays as it is. A choice of this project.
  """

  probability: float = 0.5
  min_object: float = 0.05

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    for name in ("probability", "min_object"):
      value = getattr(self, name)
      errors.require(
        0.0 <= value <= 1.0,
        f"BackgroundChange.{name}={value}: expected a number from 0 to 1",
      )

  def apply(
    self,
    view: tf.Tensor,
    mask: tf.Tensor,
    other: tf.Tensor,
    draw: tf.Tensor,
    known: tf.Tensor,
  ) -> tf.Tensor:
    """Changes the background of one view, or not.

    Args:
      view: [..., S, S, 3] uint8, crop of an image, or several.
      mask: [..., S, S, 3] uint8, the same crop of its mask: 255 where an object
        is, 0 where not, between at borders.
      other: [..., S, S, 3] uint8, crop of another image.
      draw: [...] float32 in 0..1, random number.
      known: [] bool, whether the image has a mask.

    Returns:
      [..., S, S, 3] uint8.
    """
    part = tf.cast(mask[..., :1], tf.float32) / 255.0
    covered = tf.reduce_mean(part, axis=[-3, -2, -1])
    changes = (draw < self.probability) & known & (covered >= self.min_object)
    mixed = part * tf.cast(view, tf.float32)
    mixed += (1.0 - part) * tf.cast(other, tf.float32)
    mixed = tf.cast(tf.round(mixed), tf.uint8)
    return tf.where(changes[..., None, None, None], mixed, view)


def binary(mask: tf.Tensor) -> tf.Tensor:
  """255 where a decoded mask, [H, W, 3] uint8, is not black, else 0."""
  inside = tf.reduce_any(mask > 0, axis=-1, keepdims=True)
  return tf.broadcast_to(
    tf.cast(inside, tf.uint8) * tf.constant(255, tf.uint8), tf.shape(mask)
  )
