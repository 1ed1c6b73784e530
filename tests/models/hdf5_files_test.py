"""Tests of tf_ssl.models.hdf5_files."""

import sys
import zipfile

import h5py
import numpy as np
import pytest

from tf_ssl.models import hdf5_files
from tf_ssl.ops import child_process


def _write(path, **attributes):
  with h5py.File(path, "w") as file:
    file.attrs.update(attributes)
    file["a/kernel"] = np.zeros([3, 4], np.float32)
    file["bias"] = np.zeros([4], np.float16)
    file["scalar"] = np.float64(1)
    file.create_dataset("empty", [0, 3], "f4")
    file["a/loop"] = file["a"]
  return str(path)


def _read(path, *, max_bytes=1000, **options):
  return hdf5_files.read(path, size=1, max_bytes=max_bytes, **options)


def test_a_file_is_read_in_a_child(tmp_path):
  path = _write(tmp_path / "a", model_config="{}", keras_version="2.15")
  assert _read(path) == hdf5_files.Contents("{}", "2.15", 48 + 8 + 8)


def test_a_file_in_an_archive_is_read_without_unpacking_it(tmp_path):
  path = _write(tmp_path / "a")
  with zipfile.ZipFile(tmp_path / "b", "w") as archive:
    archive.write(path, "inside")
  found = _read(str(tmp_path / "b"), member="inside")
  assert found == hdf5_files.Contents(None, "", 64)


def test_what_hdf5_raises_and_large_arrays_are_value_errors(tmp_path):
  (tmp_path / "b").write_bytes(b"junk")
  with pytest.raises(ValueError, match="signature not found"):
    _read(str(tmp_path / "b"))
  with pytest.raises(ValueError, match="take 64 bytes; expected at most 63"):
    _read(_write(tmp_path / "a"), max_bytes=63)


def test_a_child_that_crashes_is_an_error(tmp_path, monkeypatch):
  monkeypatch.setattr(hdf5_files, "_CHILD", "import os; os.abort()")
  with pytest.raises(child_process.ChildError, match="SIGABRT"):
    _read(_write(tmp_path / "a"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
