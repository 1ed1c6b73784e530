"""Tests of tf_ssl.ops.boxes."""

import sys

import numpy as np
import pytest

from tf_ssl.ops import boxes


def test_iou_of_a_box_shifted_by_half_its_width_is_a_third():
  found = boxes.iou(
    np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 0, 6, 4], [8, 8, 9, 9]])
  )
  np.testing.assert_allclose(found, [[1 / 3, 0]])


def test_iou_of_empty_boxes_is_zero():
  empty = np.zeros([1, 4])
  assert boxes.iou(empty, empty) == 0


def test_growing_keeps_the_center():
  grown = boxes.grow(np.array([[2.0, 2, 4, 6]]), 2.0)
  np.testing.assert_allclose(grown, [[1, 0, 5, 8]])


def test_neighbors_are_shifted_by_sizes_of_the_box():
  near = boxes.neighbors(np.array([[10.0, 10, 20, 30]]), shifts=(0.0, 0.5))
  expected = [
    [10, 10, 20, 30],
    [15, 10, 25, 30],
    [10, 20, 20, 40],
    [15, 20, 25, 40],
  ]
  np.testing.assert_allclose(near, [expected])


def test_each_side_of_a_neighbor_moves_outward_and_inward():
  box = [10.0, 10, 20, 30]
  near = boxes.neighbors(np.array([box]), shifts=(0.0,), side_shift=0.1)
  expected = [box] + [
    [value + step * (side == i) for i, value in enumerate(box)]
    for side, step in [
      *((0, 1), (1, 2), (2, 1), (3, 2)),
      *((0, -1), (1, -2), (2, -1), (3, -2)),
    ]
  ]
  np.testing.assert_allclose(near, [expected])


def test_suppression_keeps_the_higher_score_of_overlapping_boxes():
  found = boxes.suppress(
    np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]]),
    np.array([1.0, 3.0, 2.0]),
    overlap=0.5,
    limit=9,
  )
  assert found == [1, 2]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
