"""What is diagnosed."""

import sys

import numpy as np
import pytest

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias import subject
from tf_ssl.datasets.annotations import (
  collector as annotation_collector,
)


def test_a_random_part_keeps_each_image_with_its_objects(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  whole = subject.of_annotations(annotations)
  assert whole.objects.counts.tolist() == [2] * 6
  assert whole.name == "this dataset" and not whole.skipped
  part = subject.of_annotations(annotations, max_images=3, seed=1)
  names = [part.images.name(i) for i in range(3)]
  assert names == sorted(names) and part.objects.counts.tolist() == [2] * 3
  np.testing.assert_array_equal(part.objects.boxes, whole.objects.boxes[:6])
  assert part.digest != whole.digest


def _annotations(folder):
  collector = annotation_collector.AnnotationCollector(str(folder))
  for number in range(4):
    (folder / f"{number}.jpg").write_bytes(b"x")
    image = collector.add_image(f"{number}.jpg", 1, (40, 30))
    collector.add_box(image, (0, 0, 40, 30), 0, "many", crowd=True)
    if number == 0:
      collector.add_box(image, (0, 0, 9, 9), 0, "one")
  return collector.build(
    source="s", class_names=["c"], expected="", max_skipped_fraction=0
  )


def test_crowds_are_no_objects_and_named(tmp_path):
  found = subject.of_annotations(_annotations(tmp_path))
  assert found.objects.counts.tolist() == [1, 0, 0, 0]
  assert dict(found.skipped) == {
    "a crowd, which is not one object": ("0.jpg", "1.jpg", "2.jpg", "3.jpg")
  }


def test_a_part_without_an_object_is_told(tmp_path):
  annotations = _annotations(tmp_path)
  empty = next(s for s in range(9) if subject.sample(4, 1, s)[0])
  with pytest.raises(
    errors.UsageError, match="s: no box in 1 images; .*raise max_images"
  ):
    subject.of_annotations(annotations, max_images=1, seed=empty)


def test_a_sample_is_drawn_by_its_seed():
  assert subject.sample(5, 0, 0).tolist() == [0, 1, 2, 3, 4]
  assert subject.sample(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
  chosen = [subject.sample(100, 10, seed).tolist() for seed in (0, 0, 1)]
  assert chosen[0] == chosen[1] != chosen[2]
  for some in chosen:
    assert some == sorted(set(some)) and len(some) == 10
  with pytest.raises(errors.UsageError, match="max_images=-1"):
    subject.sample(5, -1, 0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
