"""Tests of tf_ssl.ops.walk."""

import collections
import os
import sys

import pytest

from tf_ssl.ops import walk


def _walked(folder):
  passed = collections.Counter()
  return sorted(path for path, _ in walk.walk(folder, passed)), passed


def _touch(root, *names):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()


def test_files_are_found_at_any_depth_under_str_and_bytes(tmp_path):
  _touch(tmp_path, "a.jpg", "b/c/d.txt")
  assert _walked(str(tmp_path))[0] == ["a.jpg", "b/c/d.txt"]
  assert _walked(os.fsencode(tmp_path))[0] == [b"a.jpg", b"b/c/d.txt"]


@pytest.mark.parametrize(
  "name", ["@eaDir", "$RECYCLE.BIN", "__MACOSX", ".Trash", "Thumbnails"]
)
def test_service_folders_are_counted_and_not_searched(tmp_path, name):
  _touch(tmp_path, "a.jpg", f"{name}/a.jpg", f"b/{name}/a.jpg")
  found, passed = _walked(str(tmp_path))
  assert found == ["a.jpg"]
  assert passed == {f"folder {name!r}": 2}


def test_hidden_files_are_counted(tmp_path):
  _touch(tmp_path, "a.jpg", "._a.jpg", ".DS_Store")
  assert _walked(str(tmp_path)) == (["a.jpg"], {"hidden file": 2})


def test_links_are_followed_unless_they_loop(tmp_path):
  _touch(tmp_path, "in/a.jpg", "elsewhere/b.jpg")
  root = tmp_path / "in"
  (root / "more").symlink_to(tmp_path / "elsewhere")
  (root / "self").symlink_to("self")
  (root / "one").symlink_to("two")
  (root / "two").symlink_to("one")
  (root / "up").symlink_to(root)
  (root / "above").symlink_to("..")
  (root / "gone.jpg").symlink_to("nothing")
  found, passed = _walked(str(root))
  assert found == ["a.jpg", "gone.jpg", "more/b.jpg"]
  assert passed == {"link loop": 5}


def test_a_pipe_is_counted_and_not_opened(tmp_path):
  _touch(tmp_path, "a.jpg")
  os.mkfifo(tmp_path / "pipe.jpg")
  assert _walked(str(tmp_path)) == (["a.jpg"], {"pipe": 1})


def test_a_folder_that_cannot_be_listed_is_counted_unless_it_is_the_root(
  tmp_path, monkeypatch
):
  _touch(tmp_path, "a.jpg", "closed/b.jpg")
  scandir = os.scandir

  def refuse(path):
    if str(path).rstrip("/").endswith("closed"):
      raise PermissionError(13, "Permission denied", path)
    return scandir(path)

  monkeypatch.setattr(os, "scandir", refuse)
  assert _walked(str(tmp_path)) == (["a.jpg"], {"unreadable folder": 1})
  with pytest.raises(PermissionError):
    _walked(str(tmp_path / "closed"))


def test_kinds_are_extensions_in_lower_case():
  assert walk.kind("b/a.JPG") == ".jpg"
  assert walk.kind("README") == "no extension"


def test_kinds_are_listed_by_count_and_the_rest_is_summed():
  assert walk.described({".txt": 1, ".jpg": 12}) == ".jpg (12), .txt (1)"
  many = {f".{number:02}": 2 for number in range(11)}
  assert walk.described(many).endswith(".07 (2), other kinds (6)")
  assert walk.described({}) == ""


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
