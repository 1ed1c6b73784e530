"""All of a directory, or none of it."""

import os
import sys

import pytest

from tf_ssl import errors
from tf_ssl.export import atomic_directory


def _fill(path, *, overwrite=False, text="new"):
  with atomic_directory.replacing(str(path), overwrite=overwrite) as partial:
    assert not os.listdir(partial)
    with open(os.path.join(partial, "file"), "w", encoding="utf-8") as file:
      file.write(text)


def test_a_directory_appears_with_its_parents(tmp_path):
  _fill(tmp_path / "a" / "b")
  assert (tmp_path / "a" / "b" / "file").read_text() == "new"
  assert os.listdir(tmp_path / "a") == ["b"]


def test_an_empty_directory_gives_way(tmp_path):
  (tmp_path / "b").mkdir()
  _fill(tmp_path / "b")
  assert (tmp_path / "b" / "file").read_text() == "new"


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_what_stands_there_is_replaced_only_when_asked(tmp_path, kind):
  path = tmp_path / "b"
  if kind == "directory":
    path.mkdir()
    (path / "old").write_text("old")
  else:
    path.write_text("old")
  with pytest.raises(errors.UsageError, match="b exists already"):
    _fill(path)

  _fill(path, overwrite=True)

  assert os.listdir(path) == ["file"]
  assert os.listdir(tmp_path) == ["b"]


def test_a_failure_leaves_what_was_there(tmp_path):
  _fill(tmp_path / "b", text="old")
  with pytest.raises(ZeroDivisionError):
    with atomic_directory.replacing(str(tmp_path / "b"), overwrite=True):
      raise ZeroDivisionError
  assert (tmp_path / "b" / "file").read_text() == "old"
  assert os.listdir(tmp_path) == ["b"]


def test_a_full_disk_is_named(tmp_path):
  with pytest.raises(errors.UsageError, match="No space left.*choose an out"):
    with atomic_directory.replacing(str(tmp_path / "b")):
      raise OSError(28, "No space left on device")
  assert not os.listdir(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="cannot write .*Not a directory"):
    _fill(tmp_path / "file" / "b")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
