"""The picture of a confusion matrix: of few classes and of many."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.evaluation import confusion_chart


def _drawn(counts):
  names = [f"class {i}" for i in range(len(counts))]
  png = confusion_chart.picture(counts, names)
  image = Image.open(io.BytesIO(png)).convert("L")
  return np.asarray(image, np.float64)


@pytest.mark.parametrize("number", [2, 40, 300])
def test_what_is_confused_is_dark(number):
  counts = np.zeros([number, number], int)
  right = _drawn(counts + np.eye(number, dtype=int))
  never = _drawn(counts)
  turned = _drawn(np.eye(number, dtype=int)[::-1])
  # The same picture but for the cells, and the diagonals mirror each other.
  assert right.shape == never.shape == turned.shape
  changed = np.abs(right - never) > 20
  rows, columns = np.nonzero(changed)
  assert np.corrcoef(rows, columns)[0, 1] > 0.7
  rows, columns = np.nonzero(np.abs(turned - never) > 20)
  assert np.corrcoef(rows, columns)[0, 1] < -0.7


def test_of_many_classes_no_mistake_is_lost():
  shares = np.zeros([7, 7])
  shares[6, 0], shares[2, 3], shares[3, 2] = 5.0, 2.0, 3.0
  pooled = confusion_chart._largest(shares, 3)
  np.testing.assert_array_equal(pooled, [[0, 2, 0], [3, 0, 0], [5, 0, 0]])


def test_names_are_drawn_as_they_are():
  # Dollars would begin a formula, and an odd one would fail.
  assert confusion_chart.picture(np.eye(2), ["$x^", "a\nb"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
