"""Tests of tf_ssl.video.tracking.region_features."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl.video.tracking import region_features

describe = region_features.Histograms(shrink=1)


def _texture(seed: int, size: int = 32) -> np.ndarray:
  noise = np.random.default_rng(seed).integers(0, 256, [8, 8, 3], np.uint8)
  return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)


def _scene(patch: np.ndarray, left: int, top: int) -> np.ndarray:
  image = np.full([96, 128, 3], 127, np.uint8)
  height, width = patch.shape[:2]
  image[top : top + height, left : left + width] = patch
  return image


def test_a_region_looks_the_same_elsewhere_in_the_image():
  patch = _texture(0)
  boxes = np.array([[8.0, 8, 40, 40], [64, 40, 96, 72]])
  first = describe(_scene(patch, 8, 8), boxes)[0]
  second = describe(_scene(patch, 64, 40), boxes)[1]
  assert first @ second > 0.999


def test_a_region_looks_alike_when_it_is_larger():
  small = describe(_scene(_texture(0), 8, 8), np.array([[8.0, 8, 40, 40]]))
  large = describe(_scene(_texture(0, 64), 8, 8), np.array([[8.0, 8, 72, 72]]))
  other = describe(_scene(_texture(1), 8, 8), np.array([[8.0, 8, 40, 40]]))
  assert (small @ large.T).item() > 0.97
  assert (small @ other.T).item() < 0.93


def test_features_have_unit_length_also_at_the_border():
  boxes = np.array([[-10.0, -10, 20, 20], [100, 70, 140, 99], [0, 0, 128, 96]])
  found = describe(_scene(_texture(0), 8, 8), boxes)
  assert found.dtype == np.float32
  np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_a_box_outside_of_the_image_is_zero():
  image = _scene(_texture(0), 8, 8)
  assert not describe(image, np.array([[200.0, 200, 220, 220]])).any()


def test_a_flat_region_still_has_a_color():
  flat = np.full([32, 32, 3], 200, np.uint8)
  found = describe(flat, np.array([[4.0, 4, 28, 28]]))
  np.testing.assert_allclose(np.linalg.norm(found), 1, rtol=1e-5)


def test_no_boxes_are_no_features():
  found = describe(_texture(0), np.zeros([0, 4]))
  assert found.shape == (0, 32 * 9)


def test_a_shrunken_picture_gives_nearly_the_same_features():
  image, boxes = _scene(_texture(0), 8, 8), np.array([[8.0, 8, 40, 40]])
  half = region_features.Histograms(shrink=2)
  assert (describe(image, boxes) @ half(image, boxes).T).item() > 0.9


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
