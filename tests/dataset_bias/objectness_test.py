"""Estimated boxes of salient objects in one image."""

import sys

import numpy as np
import pytest

from tf_ssl.dataset_bias import objectness
from tf_ssl.ops import boxes as boxes_lib

_BOX = [30, 20, 90, 80]


def picture(seed=0, color=(220, 40, 30)):
  """A colored square with a texture, on gray ground: [100, 150, 3]."""
  rng = np.random.default_rng(seed)
  image = rng.normal(120, 4, [100, 150, 3])
  xmin, ymin, xmax, ymax = _BOX
  image[ymin:ymax, xmin:xmax] = color + rng.normal(0, 6, [60, 60, 3])
  return np.clip(image, 0, 255).astype(np.uint8)


def test_salient_objects_are_found():
  found = objectness.find(picture())
  assert boxes_lib.iou(found[:1], np.array([_BOX]))[0, 0] > 0.8


def test_boxes_are_in_pixels_of_images_of_any_size():
  image = picture()
  large = np.kron(image, np.ones([4, 4, 1], np.uint8))
  found = objectness.find(large)
  truth = 4.0 * np.array([_BOX])
  assert boxes_lib.iou(found[:1], truth)[0, 0] > 0.8


def test_objects_hardly_overlap_and_lie_inside_the_image():
  rng = np.random.default_rng(0)
  noise = np.kron(rng.integers(0, 256, [8, 12, 3]), np.ones([20, 20, 1]))
  found = objectness.find(noise.astype(np.uint8))
  assert len(found) >= 1
  assert (found[:, :2] >= 0).all() and (found[:, 2:] <= [240, 160]).all()
  for i, first in enumerate(found):
    for second in found[:i]:
      low = np.maximum(first[:2], second[:2])
      high = np.minimum(first[2:], second[2:])
      common = np.prod(np.maximum(high - low, 0))
      smaller = min(boxes_lib.area(first), boxes_lib.area(second))
      assert common <= 0.3 * smaller + 1e-6


def test_a_picture_of_one_color_has_no_object():
  assert objectness.find(np.full([60, 80, 3], 90, np.uint8)).shape == (0, 4)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
