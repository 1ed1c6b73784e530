"""Features of a dataset: right, in order, and traced once."""

import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.models import features
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
  batches = types.LabeledImage(images, labels)
  return tf.data.Dataset.from_tensor_slices(batches).batch(batch_size)


def test_features_are_those_of_the_normalized_images_in_order():
  images = _images(7)

  found, labels = features.extract_features(_MeanEncoder(), _dataset(images, 3))

  expected = pixels.normalize(images).numpy().mean(axis=(1, 2))
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_array_equal(labels, np.arange(7))
  assert found.dtype == np.float32
  assert labels.dtype == np.int32


def test_features_keep_their_order_where_an_early_batch_is_the_slowest():
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
  found, labels = features.extract_features(encoder, _dataset(images, 1))

  expected = pixels.normalize(images).numpy().mean(axis=(1, 2))
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_array_equal(labels, np.arange(9))
  assert len(calls) == 9


def test_no_more_than_three_batches_are_held_at_once():
  made = []

  def one(i):
    made.append(i)
    return i

  ahead = features.map_ahead(lambda i: i, map(one, range(10)))
  assert [next(ahead), next(ahead)] == [0, 1]
  assert made == [0, 1, 2, 3]
  assert list(ahead) == list(range(2, 10))


def test_partial_batches_other_sizes_and_other_datasets_do_not_retrace():
  encoder = _MeanEncoder()
  extractor = features.FeatureExtractor(encoder)

  extractor(_dataset(_images(7), 3))
  extractor(_dataset(_images(5, size=6), 2))
  extractor(_dataset(_images(4).astype(np.float32), 4))

  assert encoder.traces == 1


def test_images_in_memory_go_through_in_small_batches():
  encoder = _MeanEncoder()
  extractor = features.FeatureExtractor(encoder)
  images = _images(7)
  np.testing.assert_allclose(
    extractor.array(images, batch_size=3), extractor.batch(images), atol=1e-6
  )
  assert encoder.traces == 1


def test_an_extractor_follows_the_weights():
  encoder = _MeanEncoder()
  extractor = features.FeatureExtractor(encoder)
  images = _images(2)
  before = extractor.batch(images).numpy()

  encoder.scale.assign(3.0)

  np.testing.assert_allclose(extractor.batch(images), 3 * before, rtol=1e-6)


def test_an_encoder_that_normalizes_by_itself_gets_the_pixels():
  images = _images(2)
  found, _ = features.extract_features(
    _MeanEncoder(), _dataset(images, 2), preprocess=lambda images: images
  )
  np.testing.assert_allclose(found, images.mean(axis=(1, 2)), rtol=1e-5)


def test_an_empty_dataset_is_named():
  with pytest.raises(errors.UsageError, match="labeled images is empty"):
    features.extract_features(_MeanEncoder(), _dataset(_images(2), 2).take(0))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
