"""Tests of tf_ssl.video.tracking.key_frames."""

import sys

import numpy as np
import pytest

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import key_frames, region_features

HEIGHT, WIDTH = 96, 160


def _frames(count, shift=2):
  """A patch of 32 x 32 moves right over noise of larger grain."""
  rng = np.random.default_rng(0)
  ground = np.kron(
    rng.integers(90, 130, [HEIGHT // 8, WIDTH // 8, 3]), np.ones([8, 8, 1])
  ).astype(np.uint8)
  patch = np.kron(rng.integers(0, 256, [8, 8, 3]), np.ones([4, 4, 1]))
  frames = []
  for t in range(count):
    frame = ground.copy()
    frame[30:62, 20 + shift * t : 52 + shift * t] = patch
    frames.append(frame)
  return frames


def _observe(frames, propose, gap=4, **settings):
  return key_frames.observe(
    frames,
    [[]] * len(frames),
    gap=gap,
    describe=region_features.Histograms(),
    propose=propose,
    **settings,
  )


def _box(t, shift=2):
  return np.array([[20.0 + shift * t, 30, 52 + shift * t, 62]])


def _nothing(image):
  return np.zeros([0, 4])


@pytest.mark.parametrize(
  "count, times", [(9, [0, 4, 8]), (11, [0, 5, 10]), (2, [0, 1]), (1, [])]
)
def test_the_first_and_the_last_frame_are_key_frames(count, times):
  found = _observe(_frames(count), _nothing)
  assert [one.time for one in found] == times
  if found:
    assert found[0].back is None and found[-1].ahead is None
    assert all(one.ahead is not None for one in found[:-1])


def test_points_carry_a_region_to_the_next_and_the_previous_key_frame():
  first, last = _observe(_frames(5), lambda image: _box(0))
  row = boxes_lib.iou(first.boxes, _box(0))[:, 0].argmax()
  moved = first.ahead.boxes[row] - first.boxes[row]
  np.testing.assert_allclose(moved, [8, 0, 8, 0], atol=2)
  assert len(first.ahead.points.places) == 5  # A mark at each frame.
  row = boxes_lib.iou(last.boxes, _box(4))[:, 0].argmax()
  moved = last.back.boxes[row] - last.boxes[row]
  np.testing.assert_allclose(moved, [-8, 0, -8, 0], atol=2)


def test_a_region_that_is_not_proposed_is_carried_from_the_key_frame_before():
  served = iter([_box(0), np.zeros([0, 4])])
  found = _observe(_frames(5), lambda image: next(served))
  assert boxes_lib.iou(found[1].boxes, _box(4)).max() > 0.6


def test_regions_are_limited_and_described():
  rng = np.random.default_rng(1)
  corners = rng.uniform(0, 60, [300, 2])
  many = np.concatenate([corners, corners + rng.uniform(12, 36, [300, 2])], 1)
  for one in _observe(_frames(5), lambda image: many, regions=7, carried=3):
    assert 0 < len(one.boxes) <= 10
    assert one.features.shape == (len(one.boxes), 32 * 9)
    assert one.contrast.shape == (len(one.boxes),)
    assert one.size == (HEIGHT, WIDTH)
    assert one.learned is None


def test_features_of_an_encoder_are_kept_beside_the_histograms():
  def learned(image, boxes):
    return np.tile(image.mean((0, 1)), [len(boxes), 1])

  frames = _frames(5)
  for one in _observe(frames, lambda _: _box(0), describe_learned=learned):
    assert one.features.shape == (len(one.boxes), 32 * 9)
    assert one.learned.shape == (len(one.boxes), 3)
    np.testing.assert_allclose(one.learned[0], frames[one.time].mean((0, 1)))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
