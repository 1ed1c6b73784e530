"""Regions that are kept for when the work is gone on with."""

import sys

import numpy as np
import pytest

from tf_ssl.dataset_bias import region_files


def test_damaged_files_of_regions_are_made_again(tmp_path):
  store = region_files.RegionFiles(str(tmp_path), {"a": 1})
  regions = region_files.Regions(
    np.array([3, 4]), np.ones([2, 4]), np.zeros([2, 5], np.float32)
  )
  bad = region_files.Regions(
    np.zeros(2, int), np.zeros([0, 4]), np.zeros([0, 5], np.float32), "why"
  )
  store.write(0, [regions, bad])
  first, second = store.read(0)
  np.testing.assert_array_equal(first.boxes, regions.boxes)
  assert first.features.shape == (2, 5) and not first.problem
  assert second.problem == "why" and len(second.boxes) == 0
  assert store.read(1) is None
  assert region_files.RegionFiles(str(tmp_path), {"a": 2}).read(0) is None
  (path,) = tmp_path.rglob("000000.npz")
  path.write_bytes(path.read_bytes()[:100])
  assert store.read(0) is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
