"""Balanced subsets of a labeled dataset."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.fine_tuning import label_subsets


def _labels():
  """1,000 images of 4 classes, of different sizes, and 5 without a label."""
  return np.concatenate(
    [np.repeat(np.arange(4), [400, 300, 280, 20]), np.full(5, -1)]
  )


def _counts(share, seed=0):
  chosen = label_subsets.balanced(_labels(), share, num_classes=4, seed=seed)
  assert len(set(chosen.tolist())) == len(chosen)
  return np.bincount(_labels()[chosen], minlength=4).tolist()


@pytest.mark.parametrize(
  ("share", "counts"),
  [
    (0.01, [2, 2, 2, 2]),  # 10 / 4, rounded to even
    (0.02, [5, 5, 5, 5]),
    (0.1, [25, 25, 25, 20]),  # The last class has no more.
    (0.0001, [1, 1, 1, 1]),
    (1.0, [400, 300, 280, 20]),
  ],
)
def test_a_share_is_balanced_over_the_classes(share, counts):
  assert _counts(share) == counts


def test_the_seed_decides_and_a_smaller_share_is_part_of_a_larger():
  small, large = (
    label_subsets.balanced(_labels(), share, num_classes=4, seed=3)
    for share in (0.02, 0.1)
  )
  assert set(small) <= set(large)
  again = label_subsets.balanced(_labels(), 0.02, num_classes=4, seed=3)
  other = label_subsets.balanced(_labels(), 0.02, num_classes=4, seed=4)
  np.testing.assert_array_equal(small, again)
  assert set(small) != set(other)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, float("nan")])
def test_a_share_out_of_range_is_named(share):
  with pytest.raises(errors.UsageError, match="LABEL_SHARES"):
    _counts(share)


def test_a_class_without_images_is_named():
  with pytest.raises(errors.UsageError, match=r"\[2\].*3 classes"):
    label_subsets.balanced(np.array([0, 1]), 0.5, num_classes=3, seed=0)


def _records(labels, names):
  count = len(labels)
  return records_lib.ImageRecords(
    "/images",
    np.array([b"%03d.png" % i for i in range(count)]),
    np.arange(1, count + 1, dtype=np.int64),
    labels=np.array(labels, np.int32),
    class_names=names,
  )


def test_a_single_training_class_is_refused():
  one = _records([0, 0, -1], ("dog",))
  with pytest.raises(
    errors.UsageError, match=r"/images\) has a single .*'dog'"
  ):
    label_subsets.match(one, one)


def test_classes_without_test_images_are_named_and_counted(caplog):
  found = label_subsets.match(
    _records([0, 1, 2, 2], ("a", "b", "c")), _records([0, 1], ("a", "b"))
  )
  (note,) = found.notes
  assert note.endswith(
    "1 of 3 classes have no test images: 'c' (2 train images)"
  )
  assert note in caplog.text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
