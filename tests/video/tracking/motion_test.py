"""Tests of tf_ssl.video.tracking.motion."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl.video.tracking import motion


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


def _flows(*frames):
  return motion.flow(*frames), motion.flow(*frames[::-1])


def test_a_box_goes_where_the_flow_goes():
  found = motion.moved(np.array([[40.0, 30, 72, 62]]), *_flows(*_frames(0, 4)))
  np.testing.assert_allclose(found, [[44, 30, 76, 62]], atol=0.5)


def test_a_box_stays_where_the_flow_does_not_lead_back():
  box = np.array([[40.0, 30, 72, 62]])
  there = np.full([96, 160, 2], 9, np.float32)
  np.testing.assert_array_equal(motion.moved(box, there, there), box)
  np.testing.assert_array_equal(motion.moved(box, there, -there), box + 9)


def test_a_place_that_is_not_found_again_has_no_vote():
  there = np.full([96, 160, 2], [6, 0], np.float32)
  back = -there
  there[30:40] = [50, 0]  # Of the core, rows 36 to 56: an error.
  found = motion.moved(np.array([[40.0, 30, 72, 62]]), there, back)
  np.testing.assert_array_equal(found, [[46, 30, 78, 62]])


def test_a_box_outside_of_the_image_stays():
  box = np.array([[400.0, 30, 420, 62]])
  field = np.ones([96, 160, 2], np.float32)
  np.testing.assert_array_equal(motion.moved(box, field, -field), box)


def _inside_and_around(moves):
  inside = np.zeros(moves.shape, bool)
  inside[34:58, 44:68] = True  # The patch, without its blurred border.
  return moves[inside].mean(), moves[:, 100:].mean()


def test_what_moves_is_found_under_a_moving_camera():
  moves = motion.own_motion(motion.flow(*_frames(3, -4)))
  on, off = _inside_and_around(moves)
  assert on > 0.8 > 0.1 > off


def test_the_background_is_what_moves_at_the_border():
  # More than half of the picture is one thing, and moves by itself.
  field = np.zeros([96, 160, 2], np.float32)
  field[20:76, 33:127] = [5, 0]
  field += [2, 1]  # The camera.
  moves = motion.own_motion(field)
  np.testing.assert_allclose(moves[:16], 0, atol=0.01)
  assert moves[24:72, 40:120].min() > 0.8


def test_a_still_scene_has_no_motion():
  frame = _frames(0, 0)[0]
  assert motion.own_motion(motion.flow(frame, frame)).max() < 0.2


def test_a_picture_too_small_for_flow_has_none():
  frame = np.zeros([8, 8, 3], np.uint8)
  assert not motion.flow(frame, frame).any()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
