"""Tests of tf_ssl.datasets.missing."""

import os
import sys

import pytest

from tf_ssl import errors
from tf_ssl.datasets import missing


def test_a_summary_has_the_number_and_an_example_of_each_reason():
  assert missing.summary({}) == ""
  found = missing.summary({"no mask": ["a", "b"], "no image": iter(["c"])})
  first, second = found.removesuffix(")").split(") (")
  for part in ("2", "no mask", "'a'"):
    assert part in first
  for part in ("1", "no image", "'c'"):
    assert part in second
  assert "'b'" not in found


def test_an_error_names_dataset_folder_and_what_was_skipped():
  error = missing.no_images("VOC", "/data", "JPEGImages/; change VOC")
  assert isinstance(error, errors.UsageError)
  assert "VOC" in str(error) and "'/data'" in str(error)
  assert str(error).endswith("JPEGImages/; change VOC")
  assert "skipped" not in str(error)
  error = missing.no_images("VOC", "/data", "files", {"no mask": ["a.jpg"]})
  assert "1 skipped: no mask, such as 'a.jpg'" in str(error)


def test_names_of_a_folder_are_sorted(tmp_path):
  for name in ("b", "a", "C"):
    (tmp_path / name).touch()
  assert missing.list_folder(str(tmp_path)) == ["C", "a", "b"]


def test_a_path_that_is_no_folder_has_no_names(tmp_path):
  (tmp_path / "file").touch()
  assert missing.list_folder(str(tmp_path / "nowhere")) == []
  assert missing.list_folder(str(tmp_path / "file")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path):
  (tmp_path / "closed").mkdir(mode=0o000)
  with pytest.raises(errors.UsageError, match="closed.*Permission denied"):
    missing.list_folder(str(tmp_path / "closed"))


def test_the_error_of_the_system_is_passed_on(tmp_path):
  with pytest.raises(errors.UsageError, match="aaa.*too long"):
    missing.list_folder(str(tmp_path / ("a" * 300)))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
