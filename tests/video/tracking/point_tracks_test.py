"""Tests of tf_ssl.video.tracking.point_tracks on rendered patches."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import point_tracks

HEIGHT, WIDTH = 96, 160


def _noise(seed, height, width):
  coarse = np.random.default_rng(seed).integers(
    0, 256, [height // 4, width // 4], np.uint8
  )
  return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _film(boxes, pan=0):
  """A patch fills each box, over a background that moves `pan` a frame."""
  ground, patch = _noise(0, HEIGHT, 2 * WIDTH), _noise(1, 32, 32)
  frames = []
  for t, (left, top, right, bottom) in enumerate(boxes):
    frame = ground[:, pan * t : pan * t + WIDTH].copy()
    size = (right - left, bottom - top)
    frame[top:bottom, left:right] = cv2.resize(patch, size)
    frames.append(frame)
  return frames


def _moved(boxes, pan=0):
  points = point_tracks.follow(_film(boxes, pan))
  return point_tracks.moved(
    np.array(boxes[:1], float),
    points.places[0],
    points.places[-1],
    points.followed[-1],
  )


@pytest.mark.parametrize("pan", [0, 5])
def test_a_box_moves_with_the_points_in_it_and_not_with_the_camera(pan):
  boxes = [(20 + 3 * t, 30 + t, 52 + 3 * t, 62 + t) for t in range(9)]
  found, support = _moved(boxes, pan)
  assert boxes_lib.aligned_iou(found, np.array(boxes[-1:]))[0] > 0.9
  assert support[0] > 0.25


def test_a_box_grows_with_its_object():
  boxes = [(60 - t, 40 - t, 92 + t, 72 + t) for t in range(4)]
  found, _ = _moved(boxes)
  still = boxes_lib.aligned_iou(np.array(boxes[0]), np.array(boxes[-1]))
  assert boxes_lib.aligned_iou(found, np.array(boxes[-1:]))[0] > still + 0.1


def test_a_box_keeps_its_place_in_a_still_scene():
  found, support = _moved([(20, 30, 52, 62)] * 4)
  np.testing.assert_allclose(found, [[20, 30, 52, 62]], atol=0.1)
  assert support[0] > 0.95


def test_most_points_decide_and_a_few_stray_ones_do_not():
  rng = np.random.default_rng(0)
  before = rng.uniform(0, 40, [200, 2])
  after = before * 1.25 + [3, -2]
  after[:60] += rng.uniform(-30, 30, [60, 2])
  found, support = point_tracks.moved(
    np.array([[0.0, 0, 40, 40]]), before, after, np.ones(200, bool)
  )
  np.testing.assert_allclose(found, [[3, -2, 53, 48]], atol=1.0)
  assert 0.55 < support[0] < 0.8


def test_a_box_with_few_points_does_not_move():
  places = np.array([[5.0, 5], [6, 6], [7, 5], [50, 50]])
  boxes = np.array([[0.0, 0, 10, 10], [80, 80, 90, 90]])
  found, support = point_tracks.moved(
    boxes, places, places + 9, np.ones(4, bool)
  )
  np.testing.assert_array_equal(found, boxes)
  assert support[1] == 0


def test_points_that_leave_the_image_are_followed_no_longer():
  frames = _film([(20, 30, 52, 62)] * 5, pan=8)
  points = point_tracks.follow(frames, marks=[0, 2, 4])
  assert points.places.shape[0] == len(points.followed) == 3
  left = (points.places[0][:, 0] < 20) & (points.places[0][:, 1] < 20)
  assert points.followed[0].all() and not points.followed[-1][left].any()
  # A point never comes back.
  assert (points.followed[1] >= points.followed[2]).all()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
