"""Tests of tf_ssl.augment.resize."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl.augment import resize


def picture(height, width, seed=0):
  """Noise over a gradient."""
  rng = np.random.default_rng(seed)
  ramp = np.linspace(0, 200, width)[None, :, None]
  noise = rng.integers(0, 56, (height, width, 3))
  return (ramp + noise).astype(np.uint8)


def slow_resize(image, size):
  """Triangle kernel, widened where a side shrinks, one pixel at a time."""
  for axis in (0, 1):
    image = np.moveaxis(image, axis, 0).astype(float)
    scale = len(image) / size
    support = max(scale, 1.0)
    rows = []
    for i in range(size):
      center = (i + 0.5) * scale
      weights = np.array(
        [max(0, 1 - abs(j + 0.5 - center) / support) for j in range(len(image))]
      )
      rows.append(np.tensordot(weights / weights.sum(), image, 1))
    image = np.moveaxis(np.stack(rows), 0, axis)
  return image


def difference(one, other):
  return np.abs(np.asarray(one, float) - np.asarray(other, float)).max()


@pytest.mark.parametrize(
  "window", [(0, 0, 20, 30), (3, 5, 12, 9), (2, 1, 40, 7)]
)
@pytest.mark.parametrize("in_graph", [False, True])
def test_views_are_resized_windows(window, in_graph):
  image = picture(45, 40)
  y, x, h, w = window
  windows = tf.constant([window, (0, 0, 16, 16)])

  def views(image):
    return resize.resize_windows(image, windows, [16] * len(windows))

  if in_graph:
    dataset = tf.data.Dataset.from_tensors(image).map(lambda x: tuple(views(x)))
    first, second = next(iter(dataset))
  else:
    first, second = views(tf.constant(image))
  assert first.dtype == tf.uint8 and first.shape == [16, 16, 3]
  assert difference(first, slow_resize(image[y : y + h, x : x + w], 16)) < 1.1
  np.testing.assert_array_equal(second, image[:16, :16])


@pytest.mark.parametrize("sides", [(30, 41), (9, 7), (100, 12)])
def test_it_agrees_with_pillow(sides):
  image = picture(*sides)
  windows = tf.constant([[0, 0, *sides]])
  ours = resize.resize_windows(tf.constant(image), windows, [24])[0]
  theirs = Image.fromarray(image).resize((24, 24), Image.BILINEAR)
  assert difference(ours, theirs) <= 1


def test_the_kernels_for_enlarging_and_shrinking_agree_at_scale_one():
  image = picture(24, 24)
  by_opencv = resize._enlarge(image, np.array([[2, 3, 20, 17]]), [24])[0]
  by_tensorflow = resize.resize(tf.constant(image[2:22, 3:20]), [24, 24])
  assert difference(by_opencv, by_tensorflow) <= 1


def test_a_part_equals_that_part_of_the_resized_image():
  image = picture(60, 90)
  whole = resize.resize(tf.constant(image), [20, 30])
  part = resize.resize(
    tf.constant(image),
    [10, 12],
    scale=tf.constant([1 / 3, 1 / 3]),
    offset=tf.constant([4.0, 7.0]),
  )
  assert difference(part, whole[4:14, 7:19]) <= 1


@pytest.mark.parametrize("sides", [(20, 30), (30, 20), (6, 6), (5, 10)])
def test_a_fitted_image_keeps_its_aspect_and_the_rest_has_one_color(sides):
  image = picture(*sides)
  fitted = resize.fit(tf.constant(image), 12, color=[1.2, 2.0, 2.9]).numpy()
  assert fitted.shape == (12, 12, 3) and fitted.dtype == np.uint8
  factor = 12 / max(sides)
  height, width = (round(side * factor) for side in sides)
  rest = np.ones([12, 12], bool)
  rest[:height, :width] = False
  assert (fitted[rest] == [1, 2, 3]).all()
  shown = Image.fromarray(image).resize((width, height), Image.BILINEAR)
  assert difference(fitted[:height, :width], shown) <= 1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
