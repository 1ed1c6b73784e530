"""Tests of tf_ssl.models.batch_norms."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.models import batch_norms

_layers = tf.keras.layers


def _images(seed=0, count=48):
  return (
    np.random.default_rng(seed).normal(1, 2, [count, 12, 12, 3]).astype("f")
  )


def _network(*, fused=True, scale=True, widths=(4, 5, 6, 7)):
  """Convolutions whose batch norms remember exactly the last batch."""
  tf.keras.utils.set_random_seed(0)
  maps = images = _layers.Input([None, None, 3])
  for width in widths:
    maps = _layers.Conv2D(width, 3)(maps)
    maps = _layers.BatchNormalization(momentum=0, fused=fused, scale=scale)(
      maps
    )
    maps = _layers.ReLU()(maps)
  return tf.keras.Model(images, _layers.GlobalAveragePooling2D()(maps))


def _found(model, **sizes):
  sizes = {"batch_size": None, "image_size": None, **sizes}
  return batch_norms.of_function(
    lambda images: model(images, training=False), **sizes
  )


def _slow_misfit(model, images):
  """The definition, through submodels of Keras."""
  norms = [x for x in model.layers if isinstance(x, _layers.BatchNormalization)]
  distances = []
  for norm in norms[: batch_norms.NUM_LAYERS]:
    maps = tf.keras.Model(model.input, norm.input)(images).numpy()
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    channels = []
    for c in range(maps.shape[-1]):
      m, s = maps[..., c].mean(), maps[..., c].std()
      v = variance[c]
      channels.append((m - mean[c]) ** 2 / v + (s / np.sqrt(v) - 1) ** 2)
    distances.append(np.median(channels))
  return np.mean(distances)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_the_misfit_is_its_definition(fused, scale):
  model = _network(fused=fused, scale=scale)
  model(_images(1), training=True)
  norms = _found(model)
  assert [len(each.mean) for each in norms.remembered] == [4]
  for images in (_images(), 3 * _images(), _images() - 5):
    np.testing.assert_allclose(
      batch_norms.misfit(norms, images), _slow_misfit(model, images), rtol=1e-3
    )


def test_images_of_training_fit_and_others_do_not():
  model = _network()
  model(_images(), training=True)
  norms = _found(model)
  # The variance of training has Bessel's correction.
  assert batch_norms.misfit(norms, _images()) < 1e-4
  assert batch_norms.misfit(norms, _images(1)) < 0.01
  assert batch_norms.misfit(norms, _images() / 100) > 0.5


def test_variables_in_other_functions_and_a_fixed_size_are_found(tmp_path):
  model = _network()
  model(_images(), training=True)
  tf.saved_model.save(model, str(tmp_path / "saved"))
  loaded = tf.saved_model.load(str(tmp_path / "saved"))
  norms = batch_norms.of_function(
    lambda images: loaded(images, training=False),
    batch_size=8,
    image_size=(12, 12),
  )
  np.testing.assert_allclose(
    batch_norms.misfit(norms, _images(1)),
    _slow_misfit(model, _images(1)),
    rtol=1e-3,
  )


def test_dead_channels_are_left_out():
  mean, variance = np.zeros(3), np.array([0.0, 1.0, 1.0])
  given = batch_norms.Moments(np.array([0.0, 1.0, 3.0]), np.ones(3))
  norms = batch_norms.BatchNorms(
    [batch_norms.Moments(mean, variance)], lambda images: [given]
  )
  assert batch_norms.misfit(norms, _images()) == pytest.approx((1 + 9) / 2)


def test_images_that_do_not_fill_a_batch_are_left_out():
  shapes = []

  def measure(images):
    shapes.append(len(images))
    return [batch_norms.Moments(np.zeros(1), np.ones(1))]

  norms = batch_norms.BatchNorms(
    [batch_norms.Moments(np.zeros(1), np.ones(1))], measure, batch_size=11
  )
  assert batch_norms.misfit(norms, _images()) == 0
  assert shapes == [11] * 4


def test_a_network_without_batch_norm_has_none():
  assert _found(tf.keras.Sequential([_layers.Conv2D(4, 3)])) is None


def test_untrained_averages_are_recognized():
  model = _network()
  assert not batch_norms.are_trained(_found(model).remembered)
  model(_images(), training=True)
  assert batch_norms.are_trained(_found(model).remembered)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
