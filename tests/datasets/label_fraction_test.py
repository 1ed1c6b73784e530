"""A share of each class, the same for the same seed."""

import sys

import numpy as np
import pytest

from tf_ssl.datasets import label_fraction


def test_a_fraction_keeps_that_share_of_every_class():
  labels = np.repeat(np.int32([0, 1, 2]), [100, 50, 3])
  kept = label_fraction.keep_fraction(labels, 0.1, seed=1)
  assert np.bincount(kept[kept >= 0]).tolist() == [10, 5, 1]
  assert (kept[kept >= 0] == labels[kept >= 0]).all()
  again = label_fraction.keep_fraction(labels, 0.1, seed=1)
  np.testing.assert_array_equal(kept, again)
  other = label_fraction.keep_fraction(labels, 0.1, seed=2)
  assert not np.array_equal(kept, other)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
