"""Grouping of images into sets and classes, against a slow count."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import image_sets


def test_images_are_grouped_as_a_dictionary_of_lists_groups_them():
  rng = np.random.default_rng(0)
  sets = rng.integers(0, 12, 40) * 10  # Of 1 to 6 images.
  classes = sets // 30
  found = image_sets.group(sets, classes, 40)
  members = {}
  for image, name in enumerate(sets):
    members.setdefault(int(name), []).append(image)
  kept = sorted(name for name in members if len(members[name]) >= 3)
  assert 0 < len(kept) < len(members)
  assert found.ids.tolist() == kept
  assert found.sizes.tolist() == [len(members[name]) for name in kept]
  assert found.num_skipped == len(members) - len(kept)
  for image, name in enumerate(sets):
    index = kept.index(name) if name in kept else len(kept)
    assert found.membership[image] == index
  assert found.classes.tolist() == sorted(set(classes.tolist()))
  assert [found.classes[c] for c in found.set_classes] == [
    name // 30 for name in kept
  ]
  assert not found.classes_are_sets


def test_without_classes_each_set_is_a_class_also_one_that_is_skipped():
  found = image_sets.group(np.array(list("bbbaccc")), None, 7)
  assert found.ids.tolist() == ["b", "c"]
  assert found.classes.tolist() == ["a", "b", "c"]
  assert found.set_classes.tolist() == [1, 2]
  assert found.sets_of_class.tolist() == [0, 1, 1]
  assert found.classes_are_sets and found.num_skipped == 1
  assert found.membership.tolist() == [0, 0, 0, 2, 1, 1, 1]
  assert found.membership.dtype == np.int32


def test_rows_select_the_images_to_group():
  sets = np.array([0, 0, 0, 1, 1, 1])
  found = image_sets.group(sets, sets, 6, rows=np.array([5, 0, 1, 2]))
  assert found.ids.tolist() == [0]
  assert found.membership.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
  ("sets", "classes", "message"),
  [
    ([7, 7, 7, 8], [1, 1, 2, 1], "set 7 .* class 1 .* class 2"),
    ([1, 1, 2, 2], None, r"all 2 sets .* 3 .*has 2\)"),
    ([1, 1, 1], None, r"sets have shape \(3,\).* 4 "),
    ([1, 1, 1, 1], [0, 0], r"classes have shape \(2,\).* 4 "),
    ([[1], [1], [1], [1]], None, r"sets have shape \(4, 1\)"),
    ([1.0, 1, 1, np.nan], None, "sets contain NaN"),
    ([1, 1, 1, 1], [0.0, 0, 0, np.inf], "classes contain NaN or inf"),
  ],
)
def test_sets_that_cannot_be_grouped_are_refused(sets, classes, message):
  classes = None if classes is None else np.array(classes)
  with pytest.raises(errors.UsageError, match=message):
    image_sets.group(np.array(sets), classes, 4)


def test_no_images_have_no_set():
  with pytest.raises(errors.UsageError, match=r"all 0 sets .*has 0\)"):
    image_sets.group(np.array([], int), None, 0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
