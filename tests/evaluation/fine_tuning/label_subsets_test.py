"""Balanced subsets of a labeled dataset."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
