"""Resizing of windows of an image as in PIL and torchvision.

Interpolation is bilinear with half-pixel centers, antialiased where a side
shrinks, and rounded to uint8.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def resize_windows(
  image: tf.Tensor,
  windows: tf.Tensor,
  sizes: Sequence[int],
  *,
  portable: bool = False,
) -> list[tf.Tensor]:
  """Crops windows of an image and resizes each to a square.

  TensorFlow's antialiased kernel is several times slower than the rest of the
  geometric half. If no window shrinks, OpenCV is used, whose results differ by
  at most one gray level.

  Args:
    image: [H, W, 3] uint8.
    windows: [V, 4] int32, ymin, xmin, height, width in pixels.
    sizes: sides of the V results, pixels.
    portable: whether to use TensorFlow's kernel in all cases, because OpenCV
      can be called only in the process that builds the graph.

  Returns:
    V tensors, [size, size, 3] uint8.
  """

  def shrink() -> list[tf.Tensor]:
    views = []
    for size, window in zip(
      sizes, tf.unstack(windows, len(sizes)), strict=True
    ):
      y, x, h, w = tf.unstack(window)
      views.append(resize(image[y : y + h, x : x + w], [size, size]))
    return views

  def enlarge() -> list[tf.Tensor]:
    views = tf.numpy_function(
      lambda image, windows: _enlarge(image, windows, sizes),
      [image, windows],
      [tf.uint8] * len(sizes),
      stateful=False,
    )
    return tf.nest.flatten(views)  # A single view is not in a list.

  if portable:
    views = shrink()
  else:
    views = tf.cond(_all_grow(windows, sizes), enlarge, shrink)
  return [
    tf.ensure_shape(view, [size, size, 3])
    for view, size in zip(views, sizes, strict=True)
  ]


def _all_grow(windows: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
  return tf.reduce_all(windows[:, 2:] <= np.int32(sizes)[:, None])


def resize(
  image: tf.Tensor,
  sides: list[int],
  *,
  scale: tf.Tensor | None = None,
  offset: tf.Tensor | None = None,
) -> tf.Tensor:
  """Resizes an image, or computes one rectangle of the resized image.

  Args:
    image: [h, w, 3] uint8.
    sides: height and width of the result, pixels.
    scale: [2], factors of height and width; by default those that fit the image
      into `sides`.
    offset: [2], top left corner of the result in the resized image, pixels; 0
      by default.

  Returns:
    [*sides, 3] uint8.
  """
  if scale is None:
    scale = tf.constant(sides, tf.float32) / tf.cast(
      tf.shape(image)[:2], tf.float32
    )
  if offset is None:
    offset = tf.zeros([2])
  resized = tf.raw_ops.ScaleAndTranslate(
    images=image[tf.newaxis],
    size=sides,
    scale=scale,
    translation=-offset,
    kernel_type="triangle",
    antialias=True,
  )[0]
  resized = tf.ensure_shape(resized, [*sides, 3])
  return tf.cast(
    resized + 0.5, tf.uint8
  )  # Rounds, because no value is negative.


def fit(image: tf.Tensor, size: int, *, color: Sequence[float]) -> tf.Tensor:
  """Resizes an image to fit into a square, keeping the aspect ratio.

  Args:
    image: [h, w, 3] uint8.
    size: side of the square, pixels; the scale is `size` over the longer side.
    color: [3], 0..255, color of the rest of the square, below or to the right.

  Returns:
    [size, size, 3] uint8.
  """
  shape = tf.cast(tf.shape(image)[:2], tf.float32)
  scale = size / tf.reduce_max(shape)
  resized = resize(image, [size, size], scale=tf.stack([scale, scale]))
  centers = tf.range(size, dtype=tf.float32) + 0.5
  inside = centers[:, None] < shape * scale  # [size, 2]: rows and columns
  inside = inside[:, None, :1] & inside[None, :, 1:]
  rest = tf.cast(tf.round(tf.constant(color, tf.float32)), tf.uint8)
  return tf.where(inside, resized, rest)


def _enlarge(
  image: np.ndarray, windows: np.ndarray, sizes: Sequence[int]
) -> list[np.ndarray]:
  import cv2  # Imported here, because few users of this module need it.

  return [
    cv2.resize(
      image[y : y + h, x : x + w],
      (size, size),
      interpolation=cv2.INTER_LINEAR,
    )
    for (y, x, h, w), size in zip(windows.tolist(), sizes, strict=True)
  ]
