"""Tests of tf_ssl.features.growing_array."""

import sys

import numpy as np
import pytest

from tf_ssl.features import growing_array


def _rows(count, start=0):
  return np.arange(start * 3, (start + count) * 3, dtype=np.float32).reshape(
    count, 3
  )


def test_numpy_maps_the_finished_file(tmp_path):
  path = str(tmp_path / "a.npy")
  array = growing_array.GrowingArray(path, (3,), np.float32)
  for start in range(0, 1000, 100):
    array.append(_rows(100, start))
  assert array.rows == 1000
  array.finish()
  found = np.load(path, mmap_mode="r")
  assert isinstance(found, np.memmap)
  np.testing.assert_array_equal(found, _rows(1000))
  assert found.dtype == np.float32


def test_rows_beyond_those_kept_are_dropped(tmp_path):
  path = str(tmp_path / "a.npy")
  array = growing_array.GrowingArray(path, (3,), np.float32)
  array.append(_rows(5))
  array.flush()
  array.append(_rows(4))
  array.close()
  again = growing_array.GrowingArray(path, (3,), np.float32, rows=5)
  again.append(_rows(2, start=5))
  again.finish()
  np.testing.assert_array_equal(np.load(path), _rows(7))


def test_scalars_can_be_appended(tmp_path):
  path = str(tmp_path / "a.npy")
  array = growing_array.GrowingArray(path, (), np.int64)
  array.append(np.arange(4))
  array.finish()
  np.testing.assert_array_equal(np.load(path), np.arange(4))


def test_a_file_with_too_few_rows_is_refused(tmp_path):
  path = str(tmp_path / "a.npy")
  growing_array.GrowingArray(path, (3,), np.float32).close()
  with pytest.raises(OSError, match="fewer than 1 row"):
    growing_array.GrowingArray(path, (3,), np.float32, rows=1)


def test_rows_of_another_shape_are_refused(tmp_path):
  array = growing_array.GrowingArray(str(tmp_path / "a.npy"), (3,), np.float32)
  with pytest.raises(
    ValueError, match=r"rows of shape \(2,\); expected \(3,\)"
  ):
    array.append(np.zeros([1, 2]))
  array.close()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
