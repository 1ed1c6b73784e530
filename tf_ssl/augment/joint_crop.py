"""Random scaling, cropping and mirroring of an image together with its mask."""

import tensorflow as tf

from tf_ssl.augment import resize
from tf_ssl.ops import pixels

NUM_DRAWS = 4  # Scale, row, column, mirroring.


def joint_crop(
  image: tf.Tensor,
  mask: tf.Tensor,
  draws: tf.Tensor,
  *,
  sides: tuple[int, int],
  scales: tuple[float, float],
  flip_probability: float = 0.5,
  void: int = -1,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Crops a random part of an image and the same part of its mask.

  At scale 1 the image is as large as fits into `sides`; log(scale) is uniform,
  and the aspect ratio is kept. Along an axis on which the scaled image
  is larger than the result, the window has a uniform position inside the image;
  otherwise the image has a uniform position inside the window, surrounded by
  ImageNet's mean color and void.

  Args:
    image: [H, W, 3] uint8.
    mask: [H, W] int32.
    draws: [4], uniform in 0..1.
    sides: height and width of the result, h and w.
    scales: smallest and largest scale.
    flip_probability: probability that both are mirrored.
    void: value of the mask outside of the image.

  Returns:
    [h, w, 3] uint8, bilinear and antialiased; [h, w] int32, nearest neighbor.
  """
  low, high = tf.unstack(tf.math.log(tf.constant(scales, tf.float32)))
  shape = tf.cast(tf.shape(image)[:2], tf.float32)
  target = tf.constant(sides, tf.float32)
  factor = tf.reduce_min(target / shape) * tf.exp(low + draws[0] * (high - low))
  resized = tf.maximum(tf.round(shape * factor), 1.0)
  room = resized - target
  step = tf.floor(draws[1:3] * (tf.abs(room) + 1.0))
  offset = tf.where(room >= 0.0, step, -step)
  scale = resized / shape
  rows, row_inside = _nearest(sides[0], scale[0], offset[0], tf.shape(mask)[0])
  columns, column_inside = _nearest(
    sides[1], scale[1], offset[1], tf.shape(mask)[1]
  )
  inside = row_inside[:, None] & column_inside
  labels = tf.gather(tf.gather(mask, rows), columns, axis=1)
  labels = tf.where(inside, labels, void)
  picture = resize.resize(image, list(sides), scale=scale, offset=offset)
  around = tf.cast(tf.round(tf.constant(pixels.IMAGENET_MEAN)), tf.uint8)
  picture = tf.where(inside[..., None], picture, around)
  mirrored = draws[3] < flip_probability
  picture = tf.where(mirrored, tf.reverse(picture, [1]), picture)
  labels = tf.where(mirrored, tf.reverse(labels, [1]), labels)
  return picture, tf.ensure_shape(labels, sides)


def _nearest(count: int, scale, offset, size) -> tuple[tf.Tensor, tf.Tensor]:
  """Source pixels of `count` target pixels, and whether they exist."""
  centers = (tf.range(count, dtype=tf.float32) + 0.5 + offset) / scale
  places = tf.cast(tf.floor(centers), tf.int32)
  inside = (places >= 0) & (places < size)
  return tf.clip_by_value(places, 0, size - 1), inside
