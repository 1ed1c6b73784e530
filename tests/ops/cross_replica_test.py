"""Tests of tf_ssl.ops.cross_replica on one device."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.ops import cross_replica


@pytest.mark.parametrize("in_graph", [False, True])
def test_unshuffling_undoes_shuffling(in_graph):
  batch = tf.reshape(tf.range(24), [8, 3])

  def round_trip(batch):
    shuffled = cross_replica.shuffle(batch, seed=[1, 2])
    back = cross_replica.unshuffle(shuffled.examples, shuffled.permutation)
    return shuffled.examples, back

  shuffled, back = (tf.function(round_trip) if in_graph else round_trip)(batch)
  assert not np.array_equal(shuffled, batch)
  np.testing.assert_array_equal(np.sort(shuffled, axis=0), batch)
  np.testing.assert_array_equal(back, batch)


def test_xla_compiles_the_round_trip():
  batch = tf.reshape(tf.range(24), [8, 3])

  @tf.function(jit_compile=True)
  def round_trip(seed):
    shuffled = cross_replica.shuffle(batch, seed=seed, compiled=True)
    back = cross_replica.unshuffle(shuffled.examples, shuffled.permutation)
    return shuffled.examples, back

  shuffled, back = round_trip(tf.constant([1, 2]))
  assert not np.array_equal(shuffled, batch)
  np.testing.assert_array_equal(back, batch)
  assert not np.array_equal(round_trip(tf.constant([1, 3]))[0], shuffled)


def test_another_seed_gives_another_permutation():
  batch = tf.range(16)
  first = cross_replica.shuffle(batch, seed=[1, 2]).examples
  second = cross_replica.shuffle(batch, seed=[1, 3]).examples
  assert not np.array_equal(first, second)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
