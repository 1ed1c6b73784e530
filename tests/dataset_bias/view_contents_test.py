"""What a pair of views shares, for windows that are put where they are."""

import sys

import numpy as np
import pytest

from tf_ssl.dataset_bias import object_boxes, view_contents

# A large a on the left, a small b within it, another small a on the right.
_BOXES = [[0, 0, 40, 40], [10, 10, 20, 20], [80, 0, 90, 10]]
_CLASSES = [0, 1, 0]
_LEFT, _RIGHT, _EMPTY = (0, 0, 40, 40), (0, 70, 30, 30), (60, 40, 20, 20)
_SMALL = (8, 8, 14, 14)  # Holds b, and is of nothing but the large a.


def contents(first, second, rule=None):
  objects = object_boxes.from_rows(
    [(100, 100)], [0, 0, 0], _BOXES, _CLASSES, ("a", "b")
  )
  found = view_contents.contents(
    objects, np.array([[first, second]]), rule or view_contents.Shown()
  )
  return {name: sums.item() for name, sums in found.sums.items()}, found


@pytest.mark.parametrize(
  "first, second, shared",
  [
    (
      _LEFT,
      _LEFT,
      {"same_object", "same_class", "main_in_both", "same_foremost"},
    ),
    # Two objects of one class, between which one of another class is listed.
    (_LEFT, _RIGHT, {"same_class"}),
    (_LEFT, _EMPTY, set()),
    (_EMPTY, _EMPTY, {"no_object"}),
    # The large a fills the view, so it is shown and foremost there.
    (
      _LEFT,
      _SMALL,
      {"same_object", "same_class", "main_in_both", "same_foremost"},
    ),
  ],
)
def test_what_two_views_share(first, second, shared):
  sums, _ = contents(first, second)
  names = {
    "same_object",
    "same_class",
    "main_in_both",
    "same_foremost",
    "no_object",
  }
  assert {name for name in names if sums[name]} == shared


def test_the_object_that_takes_up_more_of_a_view_is_foremost():
  # Only what lies inside counts where nothing is shown for filling a view.
  rule = view_contents.Shown(min_inside=0.5, min_filled=2.0)
  sums, _ = contents(_LEFT, _SMALL, rule)
  assert sums["same_object"] == 1  # b
  assert sums["same_foremost"] == 0  # a there, b here
  assert sums["main_in_both"] == 0


def test_views_without_objects_are_counted_one_by_one():
  sums, found = contents(_LEFT, _EMPTY)
  assert sums["empty_view"] == 1
  assert found.counts["empty_view"].item() == 2
  assert found.counts["no_object"].item() == 1


def test_what_is_cut_off_counts_only_where_the_main_object_is_shown():
  lower_half = (20, 0, 40, 40)  # half of the large a
  sums, found = contents(lower_half, _RIGHT)
  assert sums["main_hidden"] == 0.5
  assert found.counts["main_hidden"].item() == 1
  assert found.counts["main_hidden_difference"].item() == 0
  assert found.cover.tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
  sums, found = contents(lower_half, _LEFT)
  assert sums["main_hidden_difference"] == 0.5
  assert found.cover.tolist() == [0, 0, 0, 0, 1, 0, 0, 1]


def test_overlap_is_intersection_over_union():
  sums, found = contents((0, 0, 20, 20), (10, 10, 20, 20))
  assert sums["overlap"] == pytest.approx(100 / 700)
  assert found.overlap.nonzero()[0].tolist() == [2]  # 0.10 to 0.15
  assert contents(_LEFT, _RIGHT)[0]["overlap"] == 0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
