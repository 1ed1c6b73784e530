"""Tests of tf_ssl.methods.simclr against equation 1 of the paper."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.methods import base, simclr
from tf_ssl.ops import optimizers

ENCODER = shallow_reference.resnet10
SETUP = base.Setup(num_images=50, batch_size=6, image_size=8)


def _build(**options):
  tf.keras.utils.set_random_seed(0)
  return simclr.build_simclr(SETUP, encoder=ENCODER, **options)


def _pair():
  return batches.ImagePair(*tf.random.stateless_normal([2, 6, 8, 8, 3], [1, 0]))


def slow_nt_xent(queries, keys, temperature):
  """Mean over the 2B views of equation 1, one view at a time."""
  views = np.concatenate([queries, keys]).astype("d")
  count = len(queries)
  losses = []
  for i in range(2 * count):
    others = [k for k in range(2 * count) if k != i]
    similarity = np.exp(views[others] @ views[i] / temperature)
    positive = np.exp(views[i] @ views[(i + count) % (2 * count)] / temperature)
    losses.append(-np.log(positive / similarity.sum()))
  return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_equation_1(temperature):
  model = _build(temperature=temperature)
  queries, keys, features = model.embed_both(_pair(), True)
  contrast = model.contrast(_pair(), True)
  np.testing.assert_allclose(
    contrast.loss, slow_nt_xent(queries, keys, temperature), rtol=1e-4
  )
  np.testing.assert_allclose(contrast.features, features, rtol=1e-5)


def test_both_views_share_the_statistics_of_batch_norm():
  model = _build()
  both = tf.concat([*_pair()], axis=0)
  queries, keys, features = model.embed_both(_pair(), True)
  expected = model.encoder(both, training=True)
  np.testing.assert_allclose(features, expected[:6], rtol=1e-4, atol=1e-5)
  embeddings = model.project(expected, training=True)
  np.testing.assert_allclose(keys, embeddings[6:], rtol=1e-3, atol=1e-4)
  alone = model.encoder(_pair().query, training=True)
  assert np.abs(features - alone).max() > 1e-3


def test_the_loss_does_not_depend_on_which_view_is_the_query():
  model, pair = _build(), _pair()
  np.testing.assert_allclose(
    model.contrast(pair, True).loss,
    model.contrast(batches.ImagePair(pair.key, pair.query), True).loss,
    rtol=1e-5,
  )


def test_it_learns_to_tell_the_images_of_one_batch_from_each_other():
  model = _build(temperature=0.5)
  model.compile(optimizers.MomentumSgd(0.1))
  dataset = tf.data.Dataset.from_tensors(_pair())
  history = model.fit(dataset, verbose=0, epochs=25).history
  assert history["loss"][-1] < 0.6 * history["loss"][0]


def test_a_temperature_of_zero_is_refused():
  with pytest.raises(errors.UsageError, match="temperature=0.0"):
    _build(temperature=0.0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
