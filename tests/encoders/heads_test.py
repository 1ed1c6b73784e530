"""Tests of tf_ssl.encoders.heads."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.encoders import heads


def test_the_mlp_head_is_linear_relu_linear():
  head = heads.MlpHead(hidden_size=5, embedding_size=4)
  x = np.random.default_rng(0).normal(size=[3, 7]).astype("f")
  actual = head(x)
  hidden, output = head.hidden_layer, head.output_layer
  middle = np.maximum(x @ hidden.kernel.numpy() + hidden.bias.numpy(), 0)
  expected = middle @ output.kernel.numpy() + output.bias.numpy()
  np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_the_default_hidden_size_is_that_of_the_feature():
  head = heads.MlpHead()
  assert head(tf.zeros([1, 7])).shape == [1, 128]
  assert head.hidden_layer.kernel.shape == [7, 7]


def test_the_linear_head_is_one_layer():
  head = heads.LinearHead(embedding_size=4)
  assert head(tf.zeros([2, 7])).shape == [2, 4]
  assert [tuple(w.shape) for w in head.weights] == [(7, 4), (4,)]


def test_weights_start_within_one_over_the_root_of_the_width():
  head = heads.LinearHead(embedding_size=1000)
  head(tf.zeros([1, 25]))
  for weight in head.weights:
    assert 0.19 < np.abs(weight).max() <= 0.2


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
