"""Tests of tf_ssl.augment.pillow, against Pillow itself."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tf_ssl.augment import pillow

PICTURES = np.random.default_rng(0).integers(20, 200, (3, 8, 7, 3), np.uint8)


def planes(border=0):
  padded = np.pad(PICTURES, [(0, 0), *[(border, border)] * 2, (0, 0)], "edge")
  return tf.constant(padded.transpose(0, 3, 1, 2), tf.float32)


def pixels(found, border=0):
  found = np.asarray(found).transpose(0, 2, 3, 1)
  return found[:, border : 8 + border, border : 7 + border]


def by_pillow(operation, values):
  return np.stack(
    [
      np.asarray(operation(Image.fromarray(picture), value))
      for picture, value in zip(PICTURES, values, strict=True)
    ]
  ).astype(float)


def sharpness(image, factor):
  return ImageEnhance.Sharpness(image).enhance(factor)


def test_posterize_equals_pillow():
  bits = [4, 6, 8]
  found = pillow.posterize(planes(), tf.constant(bits, tf.float32))
  expected = by_pillow(ImageOps.posterize, bits)
  np.testing.assert_array_equal(pixels(found), expected)


@pytest.mark.parametrize("border", [0, 2])
def test_sharpness_equals_pillow(border):
  factors = [0.1, 1.0, 1.9]
  found = pillow.sharpen(planes(border), tf.constant(factors), border)
  expected = by_pillow(sharpness, factors)
  assert np.abs(pixels(found, border) - expected).max() <= 1


def test_solarize_equals_pillow():
  thresholds = [0, 100, 256]
  found = pillow.solarize(planes(), tf.constant(thresholds, tf.float32))
  expected = by_pillow(ImageOps.solarize, thresholds)
  np.testing.assert_array_equal(pixels(found), expected)


def test_autocontrast_equals_pillow_and_leaves_flat_channels():
  found = pixels(pillow.autocontrast(planes()))
  expected = by_pillow(lambda image, _: ImageOps.autocontrast(image), [0] * 3)
  assert np.abs(found - expected).max() <= 1
  flat = tf.fill([1, 3, 2, 2], 7.0)
  np.testing.assert_array_equal(pillow.autocontrast(flat), flat)


@pytest.mark.parametrize("border", [0, 2])
def test_all_four_run_on_the_chosen_images_in_vissls_order(border):
  draws = pillow.Draws(
    chosen=tf.constant([True, False, True]),
    bits=tf.constant([5.0, 4.0, 7.0]),
    sharpness=tf.constant([1.5, 0.3, 0.4]),
    threshold=tf.constant([120.0, 10.0, 90.0]),
  )
  found = pixels(pillow.apply(planes(border), draws, border), border)

  def all_four(image, i):
    image = ImageOps.posterize(image, int(draws.bits[i]))
    image = sharpness(image, float(draws.sharpness[i]))
    image = ImageOps.solarize(image, int(draws.threshold[i]))
    return ImageOps.autocontrast(image)

  expected = by_pillow(all_four, range(3))
  # Solarize may amplify a difference in rounding before it.
  assert np.median(np.abs(found - expected)[[0, 2]]) <= 1
  assert (np.abs(found - expected)[[0, 2]] <= 6).mean() > 0.97
  np.testing.assert_array_equal(found[1], PICTURES[1])


def test_parameters_cover_vissls_ranges():
  uniform = np.random.default_rng(0).random([20000, 4]).astype("f")
  draws = pillow.draw(tf.constant(uniform), probability=0.66)
  assert abs(np.mean(draws.chosen) - 0.66) < 0.02
  assert set(draws.bits.numpy()) == {4, 5, 6, 7, 8}
  assert (draws.sharpness.numpy() >= 0.1).all()
  assert (draws.sharpness.numpy() <= 1.9).all()
  thresholds = draws.threshold.numpy()
  assert thresholds.min() == 0 and thresholds.max() == 256


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
