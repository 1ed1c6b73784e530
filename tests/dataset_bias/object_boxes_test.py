"""Objects as arrays: order, subsets, main objects, random subsets."""

import sys

import numpy as np
import pytest

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias import object_boxes
from tf_ssl.datasets.annotations import collector


def example():
  return object_boxes.from_rows(
    [(10, 20), (30, 40), (50, 60)],
    [2, 0, 2, 0, 2],
    [[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 4, 4], [0, 0, 3, 3], [0, 0, 4, 4]],
    [0, 1, 2, 3, 4],
    tuple("abcde"),
  )


def test_objects_are_sorted_by_image():
  objects = example()
  assert objects.offsets.tolist() == [0, 2, 2, 5]
  assert objects.classes.tolist() == [1, 3, 0, 2, 4]
  assert objects.image.tolist() == [0, 0, 2, 2, 2]
  assert objects.areas.tolist() == [1, 9, 4, 16, 16]


def test_taking_images_keeps_their_objects():
  some = example().take([2, 1, 0])
  assert some.sizes.tolist() == [[50, 60], [30, 40], [10, 20]]
  assert some.counts.tolist() == [3, 0, 2]
  assert some.classes.tolist() == [0, 2, 4, 1, 3]


def test_the_main_object_is_the_first_of_the_largest():
  objects = example().take([0, 2])
  rows = object_boxes.main_objects(objects)
  assert objects.classes[rows].tolist() == [3, 2]


def test_crowds_are_not_objects(tmp_path):
  (tmp_path / "a.jpg").write_bytes(b"x")
  collected = collector.Collector(str(tmp_path))
  image = collected.add_image("a.jpg", 1, (40, 30))
  collected.add_box(image, (0, 0, 9, 9), 0, "one")
  collected.add_box(image, (0, 0, 40, 30), 0, "many", crowd=True)
  collected.add_box(image, (1, 1, 9, 9), 0, "odd", difficult=True)
  objects = object_boxes.of_annotations(
    collected.build(
      source="s", class_names=["c"], expected="", max_skipped_fraction=0
    )
  )
  assert objects.sizes.tolist() == [[30, 40]]
  np.testing.assert_array_equal(objects.boxes, [[0, 0, 9, 9], [1, 1, 9, 9]])


def test_a_random_subset_keeps_each_image_with_its_objects(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  full = object_boxes.annotated_dataset(annotations)
  assert full.objects.counts.tolist() == [2] * 6
  assert full.name == "this dataset" and not full.skipped
  part = object_boxes.annotated_dataset(annotations, max_images=3, seed=1)
  names = [part.images.name(i) for i in range(3)]
  assert names == sorted(names) and part.objects.counts.tolist() == [2] * 3
  np.testing.assert_array_equal(part.objects.boxes, full.objects.boxes[:6])
  assert part.digest != full.digest


def _annotations(folder):
  collected = collector.Collector(str(folder))
  for number in range(4):
    (folder / f"{number}.jpg").write_bytes(b"x")
    image = collected.add_image(f"{number}.jpg", 1, (40, 30))
    collected.add_box(image, (0, 0, 40, 30), 0, "many", crowd=True)
    if number == 0:
      collected.add_box(image, (0, 0, 9, 9), 0, "one")
  return collected.build(
    source="s", class_names=["c"], expected="", max_skipped_fraction=0
  )


def test_crowds_are_skipped_and_named(tmp_path):
  found = object_boxes.annotated_dataset(_annotations(tmp_path))
  assert found.objects.counts.tolist() == [1, 0, 0, 0]
  assert dict(found.skipped) == {
    "a crowd, which is not one object": ("0.jpg", "1.jpg", "2.jpg", "3.jpg")
  }


def test_a_subset_without_an_object_is_an_error(tmp_path):
  annotations = _annotations(tmp_path)
  empty = next(s for s in range(9) if object_boxes.sample(4, 1, s)[0])
  with pytest.raises(errors.UsageError, match="s: .*1 images.*max_images"):
    object_boxes.annotated_dataset(annotations, max_images=1, seed=empty)


def test_a_sample_is_drawn_by_its_seed():
  assert object_boxes.sample(5, 0, 0).tolist() == [0, 1, 2, 3, 4]
  assert object_boxes.sample(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
  chosen = [object_boxes.sample(100, 10, seed).tolist() for seed in (0, 0, 1)]
  assert chosen[0] == chosen[1] != chosen[2]
  for some in chosen:
    assert some == sorted(set(some)) and len(some) == 10
  with pytest.raises(errors.UsageError, match="max_images=-1"):
    object_boxes.sample(5, -1, 0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
