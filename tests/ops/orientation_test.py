"""Tests of tf_ssl.ops.orientation against Pillow."""

import io
import struct
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tf_ssl.ops import orientation

_TAG = 0x0112
PIXELS = np.arange(4 * 7 * 3, dtype=np.uint8).reshape(4, 7, 3)
ALL = range(1, 9)


def photograph(number, **options):
  """The bytes of a JPEG file with an orientation."""
  exif = Image.Exif()
  exif[_TAG] = number
  file = io.BytesIO()
  Image.fromarray(PIXELS).save(file, "JPEG", exif=exif, **options)
  return file.getvalue()


def exif_segment(order="<", tag=_TAG, kind=3, value=6, directory=8, count=2):
  """An APP1 segment of two directory entries; the second one is `tag`."""
  shift = 0 if order == "<" or kind == 4 else 16
  block = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(
    f"{order}IHHHIIHHII",
    directory,
    count,
    0x010F,
    2,
    1,
    0,
    tag,
    kind,
    1,
    value << shift,
  )
  content = b"Exif\0\0" + block
  return b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content


def segment(marker, content):
  return b"\xff" + marker + struct.pack(">H", 2 + len(content)) + content


def read(data):
  return int(orientation.of_files(tf.constant([data]))[0])


@pytest.mark.parametrize("number", ALL)
def test_the_orientation_is_read_from_a_file_of_pillow(number):
  assert read(photograph(number)) == number


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
def test_both_byte_orders_and_integer_types_are_read(order, kind):
  data = b"\xff\xd8" + exif_segment(order, kind=kind) + bytes(20)
  assert read(data) == 6


def test_exif_data_are_found_behind_other_segments():
  before = [
    segment(b"\xe0", b"JFIF\0" + bytes(9)),
    segment(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0" + bytes(3000)),
    segment(b"\xe2", b"ICC_PROFILE\0" + b"\xff\xe1Exif\0\0" * 900),
    segment(b"\xfe", b"a comment"),
    b"\xff\xff",  # Fill bytes.
  ]
  data = b"\xff\xd8" + b"".join(before) + exif_segment() + bytes(20)
  assert read(data) == 6


@pytest.mark.parametrize(
  "data",
  [
    b"",
    b"\xff\xd8",
    b"\xff\xd8\xff\xe1",
    b"\xff\xd8" + b"\xff" * 5000,
    b"\xff\xd8\xff\xe1\xff\xffExif\0\0",
    b"\xff\xd8\xff\xe1\0\0Exif\0\0II*\0",
    b"\xff\xd8" + exif_segment()[:-4],
    b"\xff\xd8" + exif_segment(value=0),
    b"\xff\xd8" + exif_segment(value=9),
    b"\xff\xd8" + exif_segment(tag=0x0113),
    b"\xff\xd8" + exif_segment(directory=2**32 - 1),
    b"\xff\xd8" + exif_segment(directory=2**31 - 3, count=65535),
    b"\xff\xd8" + segment(b"\xdb", bytes(65)) + exif_segment(),
    b"\xff\xd8" + segment(b"\xe0", b"\xff\xe1Exif\0\0" + bytes(60)),
  ],
)
def test_missing_or_damaged_exif_data_mean_upright(data):
  assert read(data) == orientation.UPRIGHT


def test_many_files_are_read_at_once():
  plain = io.BytesIO()
  Image.fromarray(PIXELS).save(plain, "JPEG")
  data = [photograph(6), b"\x89PNG", b"", plain.getvalue(), photograph(3)]
  found = orientation.of_files(tf.constant(data))
  assert found.numpy().tolist() == [6, 1, 1, 1, 3]


@pytest.mark.parametrize("number", ALL)
def test_pixels_are_turned_as_by_pillow(number):
  stored = Image.fromarray(PIXELS)
  stored.getexif()[_TAG] = number
  expected = np.asarray(ImageOps.exif_transpose(stored))
  turned = orientation.upright(tf.constant(PIXELS), tf.constant(number))
  np.testing.assert_array_equal(turned, expected)
  sides = orientation.upright_sides(
    tf.constant(PIXELS.shape[:2]), tf.constant(number)
  )
  assert tuple(sides.numpy()) == expected.shape[:2]


@pytest.mark.parametrize("number", ALL)
def test_a_window_shows_its_part_of_the_upright_picture(number):
  turn = tf.constant(number)
  whole = orientation.upright(tf.constant(PIXELS), turn).numpy()
  y, x, h, w = orientation.stored_window(
    tf.constant([1, 2, 3, 2]), tf.constant(PIXELS.shape[:2]), turn
  ).numpy()
  part = orientation.upright(tf.constant(PIXELS[y : y + h, x : x + w]), turn)
  np.testing.assert_array_equal(part, whole[1:4, 2:4])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
