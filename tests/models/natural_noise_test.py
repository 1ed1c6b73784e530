"""Tests of tf_ssl.models.natural_noise."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.models import natural_noise
from tf_ssl.ops import pixels


def test_the_noise_has_the_statistics_of_imagenet():
  images = natural_noise.images(200, (48, 64))
  assert images.shape == (200, 48, 64, 3) and images.dtype == np.float32
  assert images.min() >= 0 and images.max() <= 255
  np.testing.assert_allclose(
    images.mean(axis=(0, 1, 2)), pixels.IMAGENET_MEAN, atol=5
  )
  # torchvision's standard deviation is that within an image.
  within = images.std(axis=(1, 2)).mean(axis=0)
  np.testing.assert_allclose(within, pixels.IMAGENET_STD, rtol=0.15)
  red, green, blue = images.reshape(-1, 3).T
  assert np.corrcoef(red, green)[0, 1] > 0.8
  assert np.corrcoef(red, blue)[0, 1] > 0.7


def test_neighbors_are_similar_as_in_photos():
  images = natural_noise.images(20, (64, 64))

  def similarity(step):
    one, other = images[:, :, step:].ravel(), images[:, :, :-step].ravel()
    return np.corrcoef(one, other)[0, 1]

  assert similarity(1) > similarity(4) > similarity(16) > 0.2


def test_the_noise_depends_on_the_seed_only():
  first = natural_noise.images(2, (8, 8), seed=3)
  np.testing.assert_array_equal(natural_noise.images(2, (8, 8), seed=3), first)
  assert (natural_noise.images(2, (8, 8), seed=4) != first).any()


def test_filters_respond_as_to_photos(shared_data):
  """The variances of oriented differences, which first layers compute."""
  files = sorted((shared_data / "imagenette" / "train").glob("*/*.JPEG"))[::30]
  photos = np.stack(
    [
      np.asarray(Image.open(f).convert("RGB").resize((64, 64)), np.float32)
      for f in files
    ]
  )
  noise = natural_noise.images(64, (64, 64))

  def responses(images):
    return np.array(
      [
        np.diff(images, axis=1).std(),
        np.diff(images, axis=2).std(),
        np.diff(images[:, ::4], axis=1).std(),
        (images[..., 0] - images[..., 2]).std(),
        images.mean(axis=-1).std(),
      ]
    )

  ratio = responses(noise) / responses(photos)
  assert (0.6 < ratio).all() and (ratio < 1.6).all(), ratio


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
