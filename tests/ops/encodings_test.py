"""Tests of tf_ssl.ops.encodings."""

import sys

import pytest

from tf_ssl.ops import encodings


@pytest.mark.parametrize(
  ("written", "found"),
  [
    ("utf-8", "utf-8-sig"),
    ("utf-8-sig", "utf-8-sig"),
    ("utf-16", "utf-16"),
    ("utf-32", "utf-32"),
    ("utf-16-le", "utf-16-le"),
    ("utf-16-be", "utf-16-be"),
  ],
)
def test_the_text_is_read_as_it_was_written(tmp_path, written, found):
  file = tmp_path / "a.txt"
  file.write_text("pãth\n", encoding=written)
  assert encodings.of(str(file)) == found
  assert file.read_text(encoding=found) == "pãth\n"


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_either_byte_order_is_utf16(tmp_path, mark):
  (tmp_path / "a.txt").write_bytes(mark)
  assert encodings.of(str(tmp_path / "a.txt")) == "utf-16"


def test_an_empty_file_is_utf8(tmp_path):
  (tmp_path / "a.txt").touch()
  assert encodings.of(str(tmp_path / "a.txt")) == "utf-8-sig"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
