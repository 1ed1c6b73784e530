"""Tests of tf_ssl.ops.jpeg."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl.ops import jpeg


def test_encoding_and_decoding_keep_the_colors_in_place():
  image = np.zeros([16, 24, 3], np.uint8)
  image[..., 0] = 200
  data = np.frombuffer(jpeg.encode(image), np.uint8)
  decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
  np.testing.assert_allclose(decoded.astype(int), image, atol=3)
  assert len(jpeg.encode(image, 20)) <= len(data)


def test_an_empty_image_is_refused():
  with pytest.raises(ValueError, match="cannot be encoded"):
    jpeg.encode(np.zeros([0, 4, 3], np.uint8))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
