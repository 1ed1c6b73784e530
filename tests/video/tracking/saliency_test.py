"""Tests of tf_ssl.video.tracking.saliency."""

import sys

import numpy as np
import pytest

from tf_ssl.video.tracking import saliency

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 40), (30, 40, 190)


def _scene(left):
  """A red square on green, and a blue one that never moves."""
  frame = np.full([60, 90, 3], GREEN, np.uint8)
  frame[20:40, left : left + 20] = RED
  frame[5:15, 70:80] = BLUE
  moves = np.zeros([60, 90], np.float32)
  moves[20:40, left : left + 20] = 1
  return frame, moves


def _means(salient, left):
  red = salient[24:36, left + 4 : left + 16].mean()
  return red, salient[50:, :].mean(), salient[8:12, 73:77].mean()


def test_what_rests_for_a_moment_is_known_by_its_color():
  frames, moves = zip(*[_scene(10 + 5 * t) for t in range(5)], strict=True)
  moves = [*moves[:2], np.zeros_like(moves[2]), *moves[3:]]
  found = saliency.saliency(frames, moves)
  red, ground, blue = _means(found[2], 20)
  np.testing.assert_allclose(red, 0.5, atol=0.02)  # Color, without motion.
  assert max(ground, blue) < 0.1
  red, ground, blue = _means(found[1], 15)
  np.testing.assert_allclose(red, 1, atol=0.02)
  assert max(ground, blue) < 0.1


def test_colors_are_not_learned_from_far_away():
  frames, moves = zip(*[_scene(10 + 5 * t) for t in range(5)], strict=True)
  moves = [moves[0], *(np.zeros_like(m) for m in moves[1:])]
  found = saliency.saliency(frames, moves, reach=2)
  assert _means(found[2], 20)[0] > 0.4
  assert found[3].max() < 0.01


def test_the_share_of_a_color_is_its_squared_motion_over_its_pixels():
  # Left half of one color moves by 0.6, the right half of another rests.
  frame = np.full([40, 80, 3], GREEN, np.uint8)
  frame[:, 40:] = BLUE
  moves = np.zeros([40, 80], np.float32)
  moves[:, :40] = 0.6
  # (0.36 * 1600 + 20 * 0.18) / 1620 and (0 + 20 * 0.18) / 1620; the first is
  # the 97th percentile, too.
  ratio = (20 * 0.18) / (0.36 * 1600 + 20 * 0.18)
  found = saliency.saliency([frame], [moves])[0]
  np.testing.assert_allclose(found[20, 5], (0.6 + 1) / 2, atol=1e-3)
  np.testing.assert_allclose(found[20, 75], ratio / 2, atol=1e-3)


def test_nothing_moves_in_nothing():
  frame = np.zeros([20, 30, 3], np.uint8)
  found = saliency.saliency([frame] * 2, [np.zeros([20, 30])] * 2)
  assert [f.max() for f in found] == [0, 0]
  assert not len(saliency.salient_regions(found[0]))
  assert saliency.saliency([], []) == []


def test_contrast_is_the_mean_inside_less_the_mean_around():
  salient = np.zeros([16, 16], np.float32)
  salient[4:8, 4:8] = 1
  sums = saliency.integral(salient)
  boxes = np.array([[4.0, 4, 8, 8], [4, 4, 8, 12], [0, 0, 0, 0]])
  found = saliency.contrast(sums, boxes, area_power=0)
  np.testing.assert_allclose(found, [1, 0.5, 0], atol=1e-6)


def test_a_large_box_is_preferred_by_a_power_of_its_area():
  salient = np.zeros([16, 16], np.float32)
  salient[4:8, 4:8] = 1
  box = np.array([4.0, 4, 8, 8])  # A sixteenth of the picture.
  found = saliency.contrast(saliency.integral(salient), box, area_power=0.5)
  np.testing.assert_allclose(found, 0.25, atol=1e-6)


def test_salient_regions_are_boxes_of_connected_areas():
  salient = np.zeros([20, 20], np.float32)
  salient[2:6, 3:9] = 1
  found = saliency.salient_regions(salient, thresholds=(0.5,))
  np.testing.assert_array_equal(found, [[3, 2, 9, 6]])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
