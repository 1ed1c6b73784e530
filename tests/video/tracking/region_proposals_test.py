"""Tests of tf_ssl.video.tracking.region_proposals."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.ops import boxes
from tf_ssl.video.tracking import region_proposals


def test_a_rectangle_is_proposed():
  image = np.full([120, 320, 3], 40, np.uint8)
  image[30:90, 60:160] = [220, 60, 60]
  found = region_proposals.selective_search(image)
  best = boxes.iou(np.array([[60.0, 30, 160, 90]]), found).max()
  assert best > 0.85


def test_the_same_image_has_the_same_proposals():
  image = np.random.default_rng(0).integers(0, 256, [60, 80, 3], np.uint8)
  first = region_proposals.selective_search(image)
  np.testing.assert_array_equal(first, region_proposals.selective_search(image))


def test_an_opencv_without_selective_search_is_named(monkeypatch):
  monkeypatch.delattr(cv2, "ximgproc")
  with pytest.raises(errors.UsageError, match="opencv-contrib-python-headless"):
    region_proposals.selective_search(np.zeros([60, 80, 3], np.uint8))


def test_a_constant_image_has_nothing_plausible():
  image = np.full([60, 80, 3], 128, np.uint8)
  found = region_proposals.selective_search(image)
  assert not len(region_proposals.plausible(found, (60, 80)))


def test_small_large_long_and_double_boxes_are_dropped():
  found = region_proposals.plausible(
    np.array(
      [
        [0.0, 0, 30, 30],
        [0, 0, 30, 29],
        [0, 0, 5, 5],
        [0, 0, 100, 100],
        [0, 0, 90, 10],
      ]
    ),
    (100, 100),
  )
  np.testing.assert_array_equal(found, [[0, 0, 30, 30]])


def test_no_boxes_stay_no_boxes():
  found = region_proposals.plausible(np.zeros([0, 4]), (10, 10))
  assert found.shape == (0, 4)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
