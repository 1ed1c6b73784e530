"""Tests of tf_ssl.augment.blur and tf_ssl.augment.planes."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.augment import blur, planes
from tf_ssl.ops import pixels


def slow_blur(image, sigma, radius):
  """One image [H, W, 3], one pixel at a time; edges are repeated."""
  if sigma == 0:
    return image
  kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
  kernel /= kernel.sum()
  for axis in (0, 1):
    size = image.shape[axis]
    rows = []
    for i in range(size):
      near = np.clip(np.arange(i - radius, i + radius + 1), 0, size - 1)
      rows.append(np.tensordot(kernel, np.take(image, near, axis), (0, axis)))
    image = np.stack(rows, axis)
  return image


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("sides", [(11, 8), (3, 2)])
def test_every_image_has_its_own_standard_deviation(sides, compiled):
  x = np.random.default_rng(0).integers(0, 256, (4, *sides, 3), np.uint8)
  sigma = [0.0, 0.1, 0.8, 2.0]
  border = blur.border(2.0)
  assert border == 6
  padded = planes.to_planes(tf.constant(x), tf.constant([False] * 4), border)
  ours = blur.gaussian_blur(
    padded, tf.constant(sigma), border, compiled=compiled
  )
  for i in range(4):
    expected = slow_blur(x[i].astype(float), sigma[i], border)
    np.testing.assert_allclose(
      ours[i].numpy().transpose(1, 2, 0), expected, atol=1e-3
    )
  np.testing.assert_array_equal(ours[0].numpy().transpose(1, 2, 0), x[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_planes_are_mirrored_and_padded_and_converted_back(dtype):
  x = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(dtype)
  ours = planes.to_planes(tf.constant(x), tf.constant([True, False]), 2)
  mirrored = x.copy()
  mirrored[0] = x[0, :, ::-1]
  expected = np.pad(mirrored, [(0, 0), (2, 2), (2, 2), (0, 0)], "edge")
  np.testing.assert_array_equal(ours, expected.transpose(0, 3, 1, 2))
  back = planes.to_encoder(ours[:, :, 2:-2, 2:-2])
  np.testing.assert_allclose(back, pixels.normalize(mirrored), atol=1e-6)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
