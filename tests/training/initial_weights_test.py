"""Tests of initial weights that depend on the training images."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches
from tf_ssl.encoders import heads, resnet
from tf_ssl.memory import key_queue
from tf_ssl.methods import hybrid, moco
from tf_ssl.training import initial_weights


def method():
  """A MoCo with two small built encoders."""
  parts = []
  for _ in range(2):
    encoder = resnet.resnet18(width=1 / 16, stem="small")
    head = heads.MlpHead(embedding_size=4)
    head(encoder(tf.zeros([2, 8, 8, 3])))
    parts += [encoder, head]
  return moco.MoCo(*parts, key_queue.KeyQueue(8, 4))


def dataset(count, batch):
  images = tf.random.stateless_normal([count, 8, 8, 3], [0, 1])
  pairs = batches.ImagePair(images, images + 1.0)
  return tf.data.Dataset.from_tensor_slices(pairs).batch(batch)


def test_the_first_views_reach_the_function_and_the_key_encoder_follows():
  model, seen = method(), []

  def initialize(encoder, images, *, seed):
    seen.append((images.numpy(), seed))
    for variable in encoder.trainable_variables:
      variable.assign_add(tf.ones_like(variable))

  initial_weights.replace(initialize, model, lambda: dataset(600, 100), seed=7)
  ((images, seed),) = seen
  assert seed == 7
  expected = next(iter(dataset(600, 256))).query
  np.testing.assert_array_equal(images, expected)
  for mine, other in zip(
    model.encoder.weights, model.key_encoder.weights, strict=True
  ):
    np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_the_key_encoder_of_a_hybrid_follows_too():
  model = hybrid.Hybrid(method(), heads.LinearHead(embedding_size=2))

  def initialize(encoder, images, *, seed):
    for variable in encoder.trainable_variables:
      variable.assign_add(tf.ones_like(variable))

  initial_weights.replace(initialize, model, lambda: dataset(8, 8), seed=0)
  for mine, other in zip(
    model.encoder.weights, model.contrastive.key_encoder.weights, strict=True
  ):
    np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_fewer_images_than_asked_for_are_all_used():
  counts = []
  initial_weights.replace(
    lambda encoder, images, *, seed: counts.append(images.shape[0]),
    method(),
    lambda: dataset(20, 8),
    seed=0,
  )
  assert counts == [20]


_TWO_REPLICAS = """
import sys
import numpy as np, tensorflow as tf
count = int(sys.argv[1])
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices("CPU")[0],
  [tf.config.LogicalDeviceConfiguration()] * count,
)
from tests.training import initial_weights_test as test
from tf_ssl.encoders import principal_filters
from tf_ssl.training import initial_weights

strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
with strategy.scope():
  model = test.method()
  initial_weights.replace(
    principal_filters.initialize,
    model,
    lambda: test.dataset(32, 16),
    seed=0,
  )
  variables = model.encoder.variables + model.key_encoder.variables
  local = [strategy.experimental_local_results(v) for v in variables]
for values in local:
  assert len(values) == count
  for value in values[1:]:
    np.testing.assert_array_equal(values[0].numpy(), value.numpy())
np.savez(sys.argv[2], *[values[0].numpy() for values in local])
"""


def test_two_replicas_get_the_filters_of_one(tmp_path, repository):
  found = []
  for count in (1, 2):
    path = tmp_path / f"{count}.npz"
    subprocess.run(
      [sys.executable, "-c", _TWO_REPLICAS, str(count), str(path)],
      cwd=repository,
      env={**os.environ, "PYTHONPATH": str(repository)},
      check=True,
      timeout=300,
    )
    with np.load(path) as saved:
      found.append([saved[name] for name in saved.files])
  kernels = 0
  for one, two in zip(*found, strict=True):
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    kernels += one.ndim == 4
  assert kernels == 2 * 20  # Convolutions of ResNet-18 and their shortcuts.


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
