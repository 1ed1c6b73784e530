"""Tests of tf_ssl.video.motion and shots."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl.video import motion, shots


def _noise(seed, height, width):
  coarse = np.random.default_rng(seed).integers(
    0, 256, [height // 4, width // 4, 3], np.uint8
  )
  return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _frames(background_shift, patch_shift):
  """A patch of 32 at (40, 30) on a background; both move."""
  wide, patch = _noise(0, 120, 200), _noise(1, 32, 32)
  frames = []
  for t in (0, 1):
    left = 20 - t * background_shift
    frame = wide[10:106, left : left + 160].copy()
    x = 40 + t * patch_shift
    frame[30:62, x : x + 32] = patch
    frames.append(frame)
  return frames


def test_a_box_goes_where_the_flow_goes():
  field = motion.flow(*_frames(0, 4))
  found = motion.moved(np.array([[40.0, 30, 72, 62]]), field)
  np.testing.assert_allclose(found, [[44, 30, 76, 62]], atol=0.5)


def test_a_box_outside_of_the_image_stays():
  box = np.array([[400.0, 30, 420, 62]])
  field = np.ones([96, 160, 2], np.float32)
  np.testing.assert_array_equal(motion.moved(box, field), box)


def test_what_moves_is_found_under_a_moving_camera():
  moves = motion.own_motion(motion.flow(*_frames(3, -4)))
  sums = motion.integral(moves)
  on, off = motion.contrast(
    sums, np.array([[40.0, 30, 72, 62], [100, 30, 132, 62]]), area_power=0
  )
  assert on > 0.5 > 0.1 > off


def test_a_still_scene_has_no_motion():
  frame = _frames(0, 0)[0]
  moves = motion.own_motion(motion.flow(frame, frame))
  assert moves.max() < 0.2
  assert not len(motion.moving_regions(moves))


def test_contrast_is_the_mean_inside_less_the_mean_around():
  moves = np.zeros([16, 16], np.float32)
  moves[4:8, 4:8] = 1
  sums = motion.integral(moves)
  boxes = np.array([[4.0, 4, 8, 8], [4, 4, 8, 12], [0, 0, 0, 0]])
  found = motion.contrast(sums, boxes, area_power=0)
  np.testing.assert_allclose(found, [1, 0.5, 0], atol=1e-6)


def test_moving_regions_are_boxes_of_connected_areas():
  moves = np.zeros([20, 20], np.float32)
  moves[2:6, 3:9] = 1
  found = motion.moving_regions(moves, thresholds=(0.5,))
  np.testing.assert_array_equal(found, [[3, 2, 9, 6]])


def test_a_picture_too_small_for_flow_has_none():
  frame = np.zeros([8, 8, 3], np.uint8)
  assert not motion.flow(frame, frame).any()


def test_a_cut_divides_shots():
  black = np.zeros([20, 30, 3], np.uint8)
  frames = [black, black, black + 255, black + 255, black + 255]
  assert shots.shots(frames) == [(0, 2), (2, 5)]


def test_one_frame_is_a_shot_and_none_is_none():
  assert shots.shots([np.zeros([20, 30, 3], np.uint8)]) == [(0, 1)]
  assert shots.shots([]) == []


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
