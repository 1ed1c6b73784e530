"""Tests of tf_ssl.ops.pixels."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.ops import pixels


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_it_is_imagenets_normalization_of_values_up_to_255(dtype):
  image = np.array([[[0, 128, 255]]], dtype)
  expected = (image / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  normalized = pixels.normalize(tf.constant(image))
  assert normalized.dtype == tf.float32
  np.testing.assert_allclose(normalized, expected, atol=1e-5)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
