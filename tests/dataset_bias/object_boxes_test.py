"""Objects as arrays: their order, subsets, the largest."""

import sys

import numpy as np
import pytest

from tf_ssl.dataset_bias import object_boxes
from tf_ssl.datasets.annotations import (
  collector as annotation_collector,
)


def example():
  return object_boxes.from_rows(
    [(10, 20), (30, 40), (50, 60)],
    [2, 0, 2, 0, 2],
    [[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 4, 4], [0, 0, 3, 3], [0, 0, 4, 4]],
    [0, 1, 2, 3, 4],
    tuple("abcde"),
  )


def test_objects_stand_in_the_order_of_their_images():
  objects = example()
  assert objects.offsets.tolist() == [0, 2, 2, 5]
  assert objects.classes.tolist() == [1, 3, 0, 2, 4]
  assert objects.image.tolist() == [0, 0, 2, 2, 2]
  assert objects.areas.tolist() == [1, 9, 4, 16, 16]


def test_some_images_take_their_objects_along():
  some = example().take([2, 1, 0])
  assert some.sizes.tolist() == [[50, 60], [30, 40], [10, 20]]
  assert some.counts.tolist() == [3, 0, 2]
  assert some.classes.tolist() == [0, 2, 4, 1, 3]


def test_the_main_object_is_the_first_of_the_largest():
  objects = example().take([0, 2])
  rows = object_boxes.main_objects(objects)
  assert objects.classes[rows].tolist() == [3, 2]


def test_crowds_are_no_objects(tmp_path):
  (tmp_path / "a.jpg").write_bytes(b"x")
  collector = annotation_collector.AnnotationCollector(str(tmp_path))
  image = collector.add_image("a.jpg", 1, (40, 30))
  collector.add_box(image, (0, 0, 9, 9), 0, "one")
  collector.add_box(image, (0, 0, 40, 30), 0, "many", crowd=True)
  collector.add_box(image, (1, 1, 9, 9), 0, "odd", difficult=True)
  objects = object_boxes.of_annotations(
    collector.build(
      source="s", class_names=["c"], expected="", max_skipped_fraction=0
    )
  )
  assert objects.sizes.tolist() == [[30, 40]]
  np.testing.assert_array_equal(objects.boxes, [[0, 0, 9, 9], [1, 1, 9, 9]])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
