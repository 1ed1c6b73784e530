"""Two labeled sets must be of the same classes; what is not, is named."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import labeled_sets


def _records(labels, names=(), root="/images"):
  count = len(labels) if labels is not None else 3
  return records_lib.ImageRecords(
    root,
    np.array([b"%03d.png" % i for i in range(count)]),
    np.arange(1, count + 1, dtype=np.int64),
    labels=None if labels is None else np.array(labels, np.int32),
    class_names=names,
  )


def test_classes_are_matched_by_name_whatever_their_numbers():
  found = labeled_sets.match(
    _records([0, 1, 2, 2], ("dog", "ant", "cat")),
    _records([2, 0, 3], ("cat", "unused", "ant", "dog")),
  )
  assert found.class_names == ("ant", "cat", "dog")
  assert found.train.labels.tolist() == [2, 0, 1, 1]
  assert found.test.labels.tolist() == [0, 1, 2]
  assert found.train.class_names == found.test.class_names == found.class_names


def test_numbered_classes_keep_the_order_of_their_numbers():
  found = labeled_sets.match(_records([10, 2, 7]), _records([7, 10, 2, 2]))
  assert found.class_names == ("2", "7", "10")
  assert found.train.labels.tolist() == [2, 0, 1]
  assert found.test.labels.tolist() == [1, 2, 0, 0]


def test_the_identity_of_a_set_depends_on_its_labels_by_name():
  names = ("a", "b")

  def digest(labels, names):
    sets = labeled_sets.match(_records(labels, names), _records([0, 1], names))
    return sets.data()["train"]

  first = digest([0, 1], names)
  assert first["count"] == 2 and first["classes"] == 2
  assert digest([1, 0], names)["labels_sha256"] != first["labels_sha256"]
  assert digest([1, 0], ("b", "a")) == first  # the same, numbered otherwise


def test_the_identity_of_a_set_depends_on_the_regions_that_are_cut_out():
  def digest(boxes):
    records = _records([0, 1], ("a", "b"))
    if boxes is not None:
      records = records._replace(boxes=np.array(boxes, np.int32))
    return labeled_sets.match(records, records).data()["train"]

  whole, left = [-1, -1, -1, -1], [0, 0, 4, 8]
  found = [digest(boxes) for boxes in (None, [left, whole], [whole, left])]
  assert len({each["sha256"] for each in found}) == 1
  assert len({each["labels_sha256"] for each in found}) == 3


_NAMES = ("a", "b")


@pytest.mark.parametrize(
  ("train", "test", "message"),
  [
    (_records(None), _records([0, 1], _NAMES), "TRAIN_IMAGES.*has no labels"),
    (_records([0, 1], _NAMES), _records(None), "TEST_IMAGES.*has no labels"),
    (
      _records([0, 1], _NAMES),
      _records([0, 1, -1], _NAMES),
      "TEST_IMAGES.*1 of 3 images have no label or a negative one, the first "
      "'002.png'",
    ),
    (
      _records([0, 1, 5], _NAMES),
      _records([0, 1], _NAMES),
      r"TRAIN_IMAGES.*the label of '002.png' is 5, beyond the 2 classes",
    ),
    (
      _records([0, 1], _NAMES),
      _records([0, 1, 2], ("a", "c", "d"), "/other"),
      r"TEST_IMAGES \(/other\) has 2 classes that TRAIN_IMAGES \(/images\) "
      "does not have: 'c', 'd'; there are 'a', 'b'",
    ),
    (
      _records([0, 1], _NAMES),
      _records([0, 0], _NAMES),
      "TEST_IMAGES.*has no image of 1 of the 2 classes of TRAIN_IMAGES.*: 'b'",
    ),
    (_records([0, 1]), _records([0, 2]), "has 1 classes that.*: '2'"),
    (
      _records([0, 1], _NAMES),
      _records([0, 1]),
      "TRAIN_IMAGES names its classes and TEST_IMAGES numbers them",
    ),
    (
      _records([0, 1]),
      _records([0, 1], _NAMES),
      "TEST_IMAGES names its classes and TRAIN_IMAGES numbers them",
    ),
    (_records([0], ("a",)), _records([0], ("a",)), "a single class, 'a'"),
  ],
)
def test_sets_that_do_not_fit_are_refused(train, test, message):
  with pytest.raises(errors.UsageError, match=message):
    labeled_sets.match(train, test)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
