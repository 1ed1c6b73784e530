"""Tests of tf_ssl.ops.exif."""

import sys

import pytest
from PIL import Image, ImageOps

from tf_ssl.ops import exif


def _save(file, number):
  data = Image.Exif()
  data[exif.TAG] = number
  Image.new("RGB", (9, 5)).save(file, exif=data)
  return str(file)


@pytest.mark.parametrize("number", range(1, 9))
def test_the_upright_size_is_that_of_the_turned_picture(tmp_path, number):
  header = exif.read_header(_save(tmp_path / "a.jpg", number))
  assert header == exif.Header((9, 5), number)
  with Image.open(tmp_path / "a.jpg") as image:
    assert header.upright == ImageOps.exif_transpose(image).size


@pytest.mark.parametrize("number", [0, 9])
def test_other_numbers_mean_upright(tmp_path, number):
  header = exif.read_header(_save(tmp_path / "a.jpg", number))
  assert header.orientation == exif.UPRIGHT


def test_only_jpegs_are_turned(tmp_path):
  header = exif.read_header(_save(tmp_path / "a.png", 6))
  assert header == exif.Header((9, 5), exif.UPRIGHT)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
