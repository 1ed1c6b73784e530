"""Tests of tf_ssl.evaluation.labeled_sets."""

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


def test_classes_are_matched_by_name():
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


def test_the_fingerprint_depends_on_labels_by_name():
  names = ("a", "b")

  def digest(labels, names):
    sets = labeled_sets.match(_records(labels, names), _records([0, 1], names))
    return sets.data()["train"]

  first = digest([0, 1], names)
  assert first["count"] == 2 and first["classes"] == 2
  assert digest([1, 0], names)["labels_sha256"] != first["labels_sha256"]
  assert (
    digest([1, 0], ("b", "a")) == first
  )  # The same classes under other numbers.


def test_the_fingerprint_depends_on_the_regions():
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
    (_records(None), _records([0, 1], _NAMES), "TRAIN_IMAGES.*labels"),
    (_records([0, 1], _NAMES), _records(None), "TEST_IMAGES.*labels"),
    (
      _records([0, 1], _NAMES),
      _records([0, 1, -1], _NAMES),
      "TEST_IMAGES.*1 of 3 images.*'002.png'",
    ),
    (
      _records([0, 1, 5], _NAMES),
      _records([0, 1], _NAMES),
      "TRAIN_IMAGES.*'002.png' is 5",
    ),
    (
      _records([0, 1], _NAMES),
      _records([0, 1, 2], ("a", "c", "d"), "/other"),
      r"TEST_IMAGES \(/other\).* 2 .*TRAIN_IMAGES \(/images\).*'c', 'd'.*'a', "
      "'b'",
    ),
    (
      _records([0, 1], _NAMES),
      _records([0, 0], _NAMES),
      "TEST_IMAGES.* 1 of the 2 classes of TRAIN_IMAGES.*'b'",
    ),
    (_records([0, 1]), _records([0, 2]), "1 classes.*'2'"),
    (
      _records([0, 1], _NAMES),
      _records([0, 1]),
      "TRAIN_IMAGES names .*TEST_IMAGES numbers",
    ),
    (
      _records([0, 1]),
      _records([0, 1], _NAMES),
      "TEST_IMAGES names .*TRAIN_IMAGES numbers",
    ),
    (
      _records([0], ("a",)),
      _records([0], ("a",)),
      "TRAIN_IMAGES.*single class, 'a'",
    ),
  ],
)
def test_sets_of_different_classes_are_refused(train, test, message):
  with pytest.raises(errors.UsageError, match=message):
    labeled_sets.match(train, test)


def test_errors_name_the_flags_that_the_sets_come_from():
  with pytest.raises(errors.UsageError) as error:
    labeled_sets.match(
      _records([0, 1], _NAMES),
      _records([0, 0], _NAMES),
      named_by=("--labeled", "--test_images"),
    )
  assert "--test_images (" in str(error.value)
  assert "or remove these classes from --labeled" in str(error.value)
  assert "TRAIN_IMAGES" not in str(error.value)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
