"""Masks of all kinds that keep class ids, and files that do not."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.input_pipeline import mask_decoding

IDS = np.array([[0, 1, 255], [7, 7, 3]], np.uint8)


def encode_mask(picture, kind="PNG"):
  buffer = io.BytesIO()
  picture.save(buffer, format=kind)
  return buffer.getvalue()


def test_masks_may_be_gray_palette_or_bmp():
  palette = Image.fromarray(IDS, "P")
  palette.putpalette([i * 7 % 256 for i in range(768)])
  for encoded in (
    encode_mask(Image.fromarray(IDS)),
    encode_mask(palette),
    encode_mask(Image.fromarray(IDS), "BMP"),
  ):
    found = mask_decoding.decode(encoded)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, IDS)


def test_masks_may_have_one_or_sixteen_bits():
  many = np.array([[0, 300, 65535]], np.uint16)
  np.testing.assert_array_equal(
    mask_decoding.decode(encode_mask(Image.fromarray(many))), many
  )
  bits = Image.fromarray(np.array([[True, False]]))
  np.testing.assert_array_equal(
    mask_decoding.decode(encode_mask(bits)), [[1, 0]]
  )


@pytest.mark.parametrize(
  ("encoded", "reason"),
  [
    (b"", "empty"),
    (b"no picture", "cannot be decoded"),
    (encode_mask(Image.fromarray(IDS))[:-30], "cannot be decoded"),
    (
      encode_mask(Image.new("RGB", [3, 2])),
      "RGB",
    ),
    (encode_mask(Image.new("RGBA", [3, 2])), "RGBA"),
    (encode_mask(Image.new("L", [3, 2]), "JPEG"), "JPEG"),
  ],
)
def test_other_files_are_no_masks(encoded, reason):
  with pytest.raises(ValueError, match=reason):
    mask_decoding.decode(encoded)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
