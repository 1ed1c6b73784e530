"""Tests of initial filters from principal components."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, principal_filters, resnet


def _images(count=32, size=16):
  """Smooth noise: neighbors are alike, as in photos."""
  noise = tf.random.stateless_normal([count, size // 4, size // 4, 3], [1, 2])
  return tf.image.resize(noise, [size, size])


def test_filters_are_the_leading_components_and_their_negatives():
  random = np.random.default_rng(0)
  stretched = random.standard_normal([5000, 9]) * np.arange(9, 0, -1)
  found = principal_filters.filters(
    stretched.astype(np.float32), (3, 3, 1, 4), random
  )
  assert found.dtype == np.float32
  columns = found.reshape(9, 4)
  np.testing.assert_array_equal(columns[:, :2], -columns[:, 2:])
  # The axes of the noise are the components, in the order of its spread.
  assert list(np.argmax(np.abs(columns[:, :2]), axis=0)) == [0, 1]
  np.testing.assert_allclose(np.mean(found**2), 2 / (9 * 4), rtol=1e-5)


def test_answers_of_filters_are_whitened_where_components_vary_much():
  random = np.random.default_rng(0)
  mixed = random.standard_normal([4000, 6]) @ random.standard_normal([6, 12])
  found = principal_filters.filters(
    mixed.astype(np.float32), (1, 1, 12, 12), random
  )
  answers = (mixed - mixed.mean(axis=0)) @ found.reshape(12, 12)[:, :6]
  deviations = answers.std(axis=0)
  assert np.max(np.abs(np.corrcoef(answers.T) - np.eye(6))) < 1e-3
  assert deviations.max() / deviations.min() < 3.0
  spread = np.linalg.svd(mixed - mixed.mean(axis=0), compute_uv=False)[:6]
  assert spread.max() / spread.min() > 3.0


def test_more_filters_than_twice_the_components_are_all_different():
  random = np.random.default_rng(0)
  patches = random.standard_normal([100, 3]).astype(np.float32)
  found = principal_filters.filters(patches, (1, 1, 3, 16), random)
  columns = found.reshape(3, 16)
  directions = columns / np.linalg.norm(columns, axis=0)
  assert np.max(directions.T @ directions - 2 * np.eye(16)) < 0.99999


def test_patches_without_any_contrast_give_finite_filters():
  random = np.random.default_rng(0)
  found = principal_filters.filters(np.ones([50, 27]), (3, 3, 3, 8), random)
  assert np.all(np.isfinite(found))


@pytest.mark.parametrize(
  "norm", [batch_norm.plain, functools.partial(batch_norm.split, groups=4)]
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_all_convolutions_change_and_batch_norm_keeps_its_statistics(
  norm, dtype
):
  encoder = resnet.resnet18(
    width=0.125, stem="small", batch_norm=norm, dtype=dtype
  )
  images = _images()
  encoder(images)
  before = [v.numpy() for v in encoder.variables]
  principal_filters.initialize(encoder, images)
  for variable, old in zip(encoder.variables, before, strict=True):
    assert np.any(variable.numpy() != old) == ("kernel" in variable.name)
    assert np.all(np.isfinite(variable.numpy()))


def test_the_same_seed_and_images_give_the_same_filters():
  found = []
  for start in (1, 2):
    tf.keras.utils.set_random_seed(start)
    encoder = resnet.resnet18(width=0.125, stem="small")
    encoder(_images())
    principal_filters.initialize(encoder, _images(), seed=3)
    found.append([v.numpy() for v in encoder.trainable_variables])
  for one, other in zip(*found, strict=True):
    np.testing.assert_array_equal(one, other)


def test_features_of_the_initial_network_differ_more_between_images():
  def mean_similarity(encoder):
    features = tf.math.l2_normalize(encoder(_images(), training=True), axis=1)
    return float(tf.reduce_mean(features @ tf.transpose(features)))

  encoder = resnet.resnet18(width=0.25, stem="small")
  encoder(_images())
  random = mean_similarity(encoder)
  principal_filters.initialize(encoder, _images())
  assert mean_similarity(encoder) < random


def test_an_encoder_without_our_convolutions_is_refused():
  encoder = tf.keras.Sequential([tf.keras.layers.Conv2D(2, 3)])
  with pytest.raises(errors.UsageError, match="expected resnet.resnet18"):
    principal_filters.initialize(encoder, _images())


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
