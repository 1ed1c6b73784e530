"""Windows of an image, resized as PIL and torchvision resize.

Bilinear between half-pixel centers, with the kernel widened where a side
shrinks (antialiased); to the nearest gray level.
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
  """Cuts windows out of an image and resizes each to a square.

  TensorFlow's antialiased kernel is several times slower than the rest of the
  geometry; where nothing shrinks, OpenCV's computes the same to one gray level.

  Args:
    image: [H, W, 3] uint8.
    windows: [V, 4] int32: ymin, xmin, height, width.
    sizes: pixels a side of each of the V results.
    portable: TensorFlow's kernel for all: OpenCV can only be called in the
      process that builds the graph.

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
    return tf.nest.flatten(views)  # one alone does not come in a list

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
    sides: height and width of the result.
    scale: [2], resized over original height and width; `sides` over the image's
      by default.
    offset: [2], where in the resized image the result begins; 0 by default.

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
  return tf.cast(resized + 0.5, tf.uint8)  # rounds: no value is negative


def fit(image: tf.Tensor, size: int, *, color: Sequence[float]) -> tf.Tensor:
  """Resizes an image, its shape kept, so that it just fits into a square.

  Args:
    image: [h, w, 3] uint8.
    size: pixels a side; size over the image's longer side is what coordinates
      are multiplied by.
    color: what fills the rest, below or to the right: [3], 0..255.

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
  import cv2  # here: not everyone who imports this module resizes

  return [
    cv2.resize(
      image[y : y + h, x : x + w],
      (size, size),
      interpolation=cv2.INTER_LINEAR,
    )
    for (y, x, h, w), size in zip(windows.tolist(), sizes, strict=True)
  ]
