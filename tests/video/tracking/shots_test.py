"""Tests of tf_ssl.video.tracking.shots."""

import sys

import numpy as np
import pytest

from tf_ssl.video.tracking import region_features, shots

BLACK = np.zeros([20, 30, 3], np.uint8)


def test_a_change_of_color_ends_a_shot():
  white = BLACK + 255
  assert shots.find([BLACK, BLACK, white, white, white]) == [(0, 2), (2, 5)]


def test_the_threshold_is_the_fraction_of_pixels_that_change_color():
  half = BLACK.copy()
  half[:10] = 255
  assert shots.find([BLACK, half], change=0.4) == [(0, 1), (1, 2)]
  assert shots.find([BLACK, half], change=0.6) == [(0, 2)]


def test_one_frame_is_one_shot_and_no_frame_is_none():
  assert shots.find([BLACK]) == [(0, 1)]
  assert shots.find([]) == []


def test_observations_hold_proposals_features_and_flow_to_both_sides():
  rng = np.random.default_rng(0)
  frame = rng.integers(0, 256, [48, 64, 3], np.uint8)
  box = np.array([[8.0, 8, 40, 40]])
  found = shots.observe(
    [frame, np.roll(frame, 2, 1)],
    propose=lambda image: box,
    describe=region_features.Histograms(),
  )
  first, last = found
  assert first.backward is None and last.forward is None
  assert first.forward.shape == last.backward.shape == (48, 64, 2)
  for one in found:
    np.testing.assert_array_equal(one.boxes[0], box[0])
    assert one.features.shape == (len(one.boxes), 32 * 9)
    assert one.salient.shape == (49, 65)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
