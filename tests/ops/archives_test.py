"""Tests of tf_ssl.ops.archives."""

import sys
import tarfile
import zipfile

import pytest

from tf_ssl.ops import archives


def test_archives_are_recognized_by_their_content(tmp_path):
  inside, file = tmp_path / "a.txt", tmp_path / "images"
  inside.write_text("a")
  with zipfile.ZipFile(file, "w") as archive:
    archive.write(inside, "a.txt")
  assert archives.hint(str(file)).startswith("is a Zip archive; unpack it")
  with tarfile.open(file, "w") as archive:
    archive.add(inside, "a.txt")
  assert archives.hint(str(file)).startswith("is a tar archive")
  with tarfile.open(tmp_path / "images.tar.gz", "w:gz") as archive:
    archive.add(inside, "a.txt")
  found = archives.hint(str(tmp_path / "images.tar.gz"))
  assert found.startswith("is a compressed tar archive")


@pytest.mark.parametrize("name", ["a.json", "gone", "folder", "empty"])
def test_nothing_else_is_an_archive(tmp_path, name):
  (tmp_path / "a.json").write_text('{"images": []}')
  (tmp_path / "folder").mkdir()
  (tmp_path / "empty").touch()
  assert archives.hint(str(tmp_path / name)) is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
