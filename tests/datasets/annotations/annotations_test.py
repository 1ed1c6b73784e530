import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets.annotations import annotations, collector


@pytest.fixture(name="three")
def fixture_three(tmp_path):
  """Images a, b, c with two boxes, one and none; classes cat and dog."""
  collected = collector.Collector(str(tmp_path))
  for name in "abc":
    (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    collected.add_image(f"{name}.jpg", name, (20, 10))
  collected.add_box(1, (0, 0, 4, 4), 0, "first", crowd=True)
  collected.add_box(0, (1, 2, 3, 5), 1, "second", difficult=True, area=3.5)
  collected.add_box(0, (2, 2, 6, 8), 0, "third")
  return collected.build(
    source="three",
    class_names=("cat", "dog"),
    expected="images",
    max_skipped_fraction=0.5,
  )


def test_boxes_are_sorted_by_image(three):
  np.testing.assert_array_equal(three.image_index, [0, 0, 1])
  np.testing.assert_array_equal(three.class_ids, [1, 0, 0])
  np.testing.assert_array_equal(three.crowd, [False, False, True])
  np.testing.assert_array_equal(three.difficult, [True, False, False])
  np.testing.assert_array_equal(three.areas, [3.5, 24, 16])
  assert three.image_ids == ("a", "b", "c")


def test_classes_with_only_difficult_objects_or_crowds_are_ignored(three):
  # Image a: a cat, a difficult dog; b: a crowd of cats; c: nothing.
  np.testing.assert_array_equal(three.targets, [[1, -1], [-1, 0], [0, 0]])


def test_an_ordinary_object_outweighs_a_difficult_one():
  index, classes = np.array([0, 0]), np.array([0, 0])
  for uncounted in ([True, False], [False, True]):
    found = annotations.targets_of_boxes(
      1, 1, index, classes, np.array(uncounted)
    )
    assert found.tolist() == [[annotations.PRESENT]]


def test_selected_images_keep_their_boxes(three):
  taken = annotations.take(three, [2, 0])
  assert [taken.images.name(i) for i in range(2)] == ["c.jpg", "a.jpg"]
  assert taken.image_ids == ("c", "a")
  np.testing.assert_array_equal(taken.image_index, [1, 1])
  np.testing.assert_array_equal(taken.boxes, three.boxes[:2])
  np.testing.assert_array_equal(taken.targets, [[0, 0], [1, -1]])


@pytest.mark.parametrize("images", [[], [3], [-1], [0, 0]])
def test_invalid_indices_are_refused(three, images):
  with pytest.raises(errors.UsageError, match="three: got .* 0 to 2"):
    annotations.take(three, images)


def test_a_split_has_each_image_once_and_depends_on_its_seed():
  train, test = annotations.split_images(10, test_fraction=0.3, seed=1)
  assert len(train) == 7 and len(test) == 3
  assert sorted([*train, *test]) == list(range(10))
  again = annotations.split_images(10, test_fraction=0.3, seed=1)
  np.testing.assert_array_equal(again[1], test)
  splits = [
    annotations.split_images(10, test_fraction=0.3, seed=seed)[1].tolist()
    for seed in range(5)
  ]
  assert len({tuple(split) for split in splits}) > 1


def test_neither_part_of_a_split_is_empty():
  for fraction in (0.01, 0.99):
    train, test = annotations.split_images(3, test_fraction=fraction, seed=0)
    assert len(train) and len(test)


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.5), (5, 0.0), (5, 1.0)])
def test_an_impossible_split_is_refused(count, fraction):
  with pytest.raises(errors.UsageError, match="test_fraction is"):
    annotations.split_images(count, test_fraction=fraction, seed=0)


def test_the_digest_depends_on_images_and_labels(three):
  first = annotations.digest(three)
  assert first["count"] == 3 and first["boxes"] == 3
  assert annotations.digest(three) == first
  moved = three.boxes.copy()
  moved[0, 0] += 1
  changed = annotations.digest(three._replace(boxes=moved))
  assert changed["sha256"] == first["sha256"]
  assert changed["annotations_sha256"] != first["annotations_sha256"]
  renamed = annotations.digest(three._replace(class_names=("cat", "fox")))
  assert renamed["annotations_sha256"] != first["annotations_sha256"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
