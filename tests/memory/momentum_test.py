"""Tests of tf_ssl.memory.momentum."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.memory import momentum


def dense(units=2):
  layer = tf.keras.Sequential(
    [tf.keras.layers.Dense(units), tf.keras.layers.BatchNormalization()]
  )
  layer.build([None, 3])
  return layer


def test_copying_takes_every_weight_and_the_moving_averages_too():
  source, target = dense(), dense()
  source.layers[1].moving_mean.assign([5.0, 6.0])
  momentum.copy_weights(source, target)
  for mine, other in zip(target.weights, source.weights, strict=True):
    np.testing.assert_array_equal(mine, other)


def test_copying_between_different_layers_is_an_error():
  with pytest.raises(ValueError, match="differ"):
    momentum.copy_weights(dense(2), dense(4))


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize(
  ("coefficient", "expected"), [(0.0, 10.0), (0.9, 1.0), (1.0, 0.0)]
)
def test_the_target_moves_by_one_minus_momentum_of_the_way(
  coefficient, expected, in_graph
):
  source, target = [tf.Variable(10.0)], [tf.Variable(0.0)]

  def update():
    momentum.momentum_update(source, target, momentum=coefficient)

  (tf.function(update) if in_graph else update)()
  np.testing.assert_allclose(target[0], expected, rtol=1e-6)
  assert float(source[0]) == 10.0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
