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


@pytest.mark.parametrize("limit", [0, 7, 500])
def test_suppression_equals_comparing_box_by_box(limit):
  random = np.random.default_rng(limit)
  near = random.uniform(0, 40, [150, 4])
  near[:, 2:] = near[:, :2] + random.uniform(-2, 30, [150, 2])  # Some empty.
  near[100:] = near[:50]  # Duplicates.
  rank = random.integers(0, 20, 150).astype(float)  # Ties.
  expected = []
  for row in sorted(range(150), key=lambda row: -rank[row]):
    overlaps = [boxes.aligned_iou(near[row], near[k]) for k in expected]
    if len(expected) < limit and all(iou < 0.4 for iou in overlaps):
      expected.append(row)
  assert len(expected) > 32 or limit < 500
  assert boxes.suppress(near, rank, overlap=0.4, limit=limit) == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
