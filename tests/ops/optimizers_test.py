"""Tests of tf_ssl.ops.optimizers."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.ops import optimizers


def test_momentum_sgd_is_pytorchs_under_a_changing_learning_rate():
  rates = [0.5, 0.1, 0.02]
  schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], rates)
  optimizer = optimizers.MomentumSgd(
    schedule, sgd_momentum=0.9, weight_decay=0.1
  )
  variable = tf.Variable([1.0, -2.0])
  weight, velocity = np.array([1.0, -2.0]), np.zeros(2)
  for step in range(3):
    gradient = np.array([0.3, 0.5]) * (step + 1)
    optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
    velocity = 0.9 * velocity + gradient + 0.1 * weight
    weight = weight - rates[step] * velocity
    np.testing.assert_allclose(variable, weight, rtol=1e-5)
    np.testing.assert_allclose(optimizer.velocities[0], velocity, rtol=1e-5)


def test_lars_scales_each_layers_step_by_its_own_norms():
  variable = tf.Variable([3.0, 4.0], name="kernel")
  optimizer = optimizers.lars(1.0, sgd_momentum=0.0, weight_decay=0.0)
  optimizer.apply_gradients([(tf.constant([0.0, 2.0]), variable)])
  # trust ratio: 0.001 * |w| / |g| = 0.001 * 5 / 2 (You et al. 2017)
  np.testing.assert_allclose(variable, [3.0, 4.0 - 0.0025 * 2.0], rtol=1e-6)


def rate(step, **kwargs):
  return float(optimizers.LearningRate(1.0, 100, **kwargs)(step))


@pytest.mark.parametrize(
  ("step", "expected"), [(0, 1.0), (50, 0.5), (100, 0.0), (200, 0.0)]
)
def test_cosine_goes_from_the_peak_to_nothing(step, expected):
  assert rate(step) == pytest.approx(expected, abs=1e-6)


def test_cosine_can_stand_still_for_an_epoch():
  assert (
    rate(19, hold=10)
    == rate(10, hold=10)
    == pytest.approx(0.5 * (1 + math.cos(0.1 * math.pi)))
  )


@pytest.mark.parametrize(
  ("step", "expected"), [(59, 1.0), (60, 0.1), (79, 0.1), (80, 0.01)]
)
def test_steps_fall_where_moco_v1s_do(step, expected):
  assert rate(step, kind="step") == pytest.approx(expected)


def test_warm_up_is_linear():
  assert rate(5, warmup_steps=10) == pytest.approx(0.5)
  assert rate(10, warmup_steps=10) == pytest.approx(1.0)
  assert rate(100, warmup_steps=10) == pytest.approx(0.0)


def test_constant_stays():
  assert rate(0, kind="constant") == rate(99, kind="constant") == 1.0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
