"""Tests of tf_ssl.models.feature_extractor."""

import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.models import feature_extractor
from tf_ssl.ops import pixels


class _MeanEncoder(tf.keras.Model):
  """Global average pool times a scale; counts its traces."""

  def __init__(self):
    super().__init__()
    self.scale = self.add_weight("scale", shape=[], initializer="ones")
    self.traces = 0

  def call(self, images, training=None):
    self.traces += 1
    assert training is False
    return self.scale * tf.reduce_mean(images, axis=[1, 2])  # [B, 3]


def _images(num, size=4):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [num, size, size, 3], dtype=np.uint8)


def _dataset(images, batch_size):
  labels = np.arange(len(images), dtype=np.int32)
  examples = batches.LabeledImage(images, labels)
  return tf.data.Dataset.from_tensor_slices(examples).batch(batch_size)


def test_images_are_normalized_and_features_keep_their_order():
  images = _images(7)

  extractor = feature_extractor.FeatureExtractor(_MeanEncoder())
  found, labels = extractor(_dataset(images, 3))

  expected = pixels.normalize(images).numpy().mean(axis=(1, 2))
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_array_equal(labels, np.arange(7))
  assert found.dtype == np.float32
  assert labels.dtype == np.int32


def test_order_is_kept_when_an_early_batch_is_slow():
  calls = []

  def encoder(images, training):
    def slow(x):
      calls.append(len(x))
      time.sleep(0.3 if len(calls) == 2 else 0.0)
      return x

    pooled = tf.reduce_mean(images, axis=[1, 2])
    return tf.ensure_shape(
      tf.numpy_function(slow, [pooled], tf.float32), [None, 3]
    )

  images = _images(9)
  extractor = feature_extractor.FeatureExtractor(encoder)
  found, labels = extractor(_dataset(images, 1))

  expected = pixels.normalize(images).numpy().mean(axis=(1, 2))
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_array_equal(labels, np.arange(9))
  assert len(calls) == 9


def test_at_most_three_batches_are_in_flight():
  made = []

  def one(i):
    made.append(i)
    return i

  ahead = feature_extractor.map_ahead(lambda i: i, map(one, range(10)))
  assert [next(ahead), next(ahead)] == [0, 1]
  assert made == [0, 1, 2, 3]
  assert list(ahead) == list(range(2, 10))


def test_partial_batches_other_sizes_and_other_datasets_do_not_retrace():
  encoder = _MeanEncoder()
  extractor = feature_extractor.FeatureExtractor(encoder)

  extractor(_dataset(_images(7), 3))
  extractor(_dataset(_images(5, size=6), 2))
  extractor(_dataset(_images(4).astype(np.float32), 4))

  assert encoder.traces == 1


def test_an_array_is_encoded_in_batches():
  encoder = _MeanEncoder()
  extractor = feature_extractor.FeatureExtractor(encoder)
  images = _images(7)
  np.testing.assert_allclose(
    extractor.array(images, batch_size=3), extractor.batch(images), atol=1e-6
  )
  assert encoder.traces == 1


def test_an_extractor_follows_the_weights():
  encoder = _MeanEncoder()
  extractor = feature_extractor.FeatureExtractor(encoder)
  images = _images(2)
  before = extractor.batch(images).numpy()

  encoder.scale.assign(3.0)

  np.testing.assert_allclose(extractor.batch(images), 3 * before, rtol=1e-6)


def test_preprocessing_can_be_left_to_the_encoder():
  images = _images(2)
  extractor = feature_extractor.FeatureExtractor(
    _MeanEncoder(), preprocess=lambda images: images
  )
  found, _ = extractor(_dataset(images, 2))
  np.testing.assert_allclose(found, images.mean(axis=(1, 2)), rtol=1e-5)


def test_an_empty_dataset_is_an_error():
  extractor = feature_extractor.FeatureExtractor(_MeanEncoder())
  with pytest.raises(errors.UsageError, match="labeled images .* at least one"):
    extractor(_dataset(_images(2), 2).take(0))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
