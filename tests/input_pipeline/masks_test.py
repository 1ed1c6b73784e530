"""Masks: what is one, and what is not."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.input_pipeline import masks

_IDS = np.array([[0, 1, 255], [7, 7, 3]], np.uint8)


def _encoded(picture, kind="PNG"):
  buffer = io.BytesIO()
  picture.save(buffer, format=kind)
  return buffer.getvalue()


def test_gray_and_palette_and_bmp_are_ids():
  palette = Image.fromarray(_IDS, "P")
  palette.putpalette([i * 7 % 256 for i in range(768)])
  for encoded in (
    _encoded(Image.fromarray(_IDS)),
    _encoded(palette),
    _encoded(Image.fromarray(_IDS), "BMP"),
  ):
    found = masks.decode(encoded)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, _IDS)


def test_sixteen_bits_and_one_bit_are_ids():
  many = np.array([[0, 300, 65535]], np.uint16)
  np.testing.assert_array_equal(
    masks.decode(_encoded(Image.fromarray(many))), many
  )
  bits = Image.fromarray(np.array([[True, False]]))
  np.testing.assert_array_equal(masks.decode(_encoded(bits)), [[1, 0]])


@pytest.mark.parametrize(
  ("encoded", "reason"),
  [
    (b"", "an empty file"),
    (b"no picture", "cannot be decoded"),
    (_encoded(Image.fromarray(_IDS))[:-30], "cannot be decoded"),
    (
      _encoded(Image.new("RGB", [3, 2])),
      r"a picture in colors \(RGB\), expected the id of a class",
    ),
    (_encoded(Image.new("RGBA", [3, 2])), r"in colors \(RGBA\)"),
    (_encoded(Image.new("L", [3, 2]), "JPEG"), "JPEG, which does not keep"),
  ],
)
def test_what_is_no_mask_says_why(encoded, reason):
  with pytest.raises(ValueError, match=reason):
    masks.decode(encoded)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
