"""Optimizers against slow NumPy references, and the shape of the schedules."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.ops import optimizers

RATES = [0.5, 0.1, 0.02]  # It changes: Keras' form would take another path.
WEIGHT = np.array([[1.0, -2.0, 0.5], [0.1, 3.0, -1.0]])


def _gradient(step):
  return np.sin(np.arange(6.0).reshape(2, 3) + step)


def _reference(rates, *, sgd_momentum, weight_decay):
  """torch.optim.SGD (version 2, dampening 0, no Nesterov), step by step."""
  weight, velocity = WEIGHT.copy(), None
  for step, rate in enumerate(rates):
    gradient = _gradient(step) + weight_decay * weight
    velocity = (
      gradient if velocity is None else (sgd_momentum * velocity + gradient)
    )
    weight = weight - rate * velocity
    yield weight, velocity


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
  "rates", [RATES, [np.array([1.0, 0.1, 0.0]) * rate for rate in RATES]]
)
def test_sgd_update_is_pytorchs(rates, weight_decay):
  weight = tf.Variable(WEIGHT, dtype=tf.float32)
  velocity = tf.Variable(tf.zeros_like(weight))
  options = {"sgd_momentum": 0.9, "weight_decay": weight_decay}
  for step, expected in enumerate(_reference(rates, **options)):
    optimizers.sgd_update(
      weight,
      velocity,
      tf.constant(_gradient(step), tf.float32),
      learning_rate=rates[step],
      **options,
    )
    np.testing.assert_allclose(weight, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(velocity, expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", ["schedule", "assigned"])
def test_momentum_sgd_is_pytorchs_with_a_changing_learning_rate(way):
  schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], RATES)
  options = {"sgd_momentum": 0.9, "weight_decay": 0.1}
  optimizer = optimizers.MomentumSgd(
    schedule if way == "schedule" else 1.0, **options
  )
  variable = tf.Variable(WEIGHT, dtype=tf.float32)
  for step, expected in enumerate(_reference(RATES, **options)):
    if way == "assigned":
      optimizer.learning_rate.assign(RATES[step])
    gradient = tf.constant(_gradient(step), tf.float32)
    optimizer.apply_gradients([(gradient, variable)])
    np.testing.assert_allclose(variable, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
      optimizer.velocities[0], expected[1], rtol=1e-5, atol=1e-6
    )


def test_keras_sgd_differs_once_the_learning_rate_changes():
  keras = tf.keras.optimizers.SGD(RATES[0], momentum=0.9)
  variable = tf.Variable(WEIGHT, dtype=tf.float32)
  expected = _reference(RATES, sgd_momentum=0.9, weight_decay=0.0)
  for step, (weight, _) in enumerate(expected):
    keras.learning_rate.assign(RATES[step])
    gradient = tf.constant(_gradient(step), tf.float32)
    keras.apply_gradients([(gradient, variable)])
    difference = np.abs(variable.numpy() - weight).max()
    assert (difference < 1e-5) == (step == 0)


def test_reset_starts_over():
  optimizer = optimizers.MomentumSgd(0.1)
  variable = tf.Variable(WEIGHT, dtype=tf.float32)
  results = []
  for _ in range(2):
    variable.assign(WEIGHT)
    for step in range(3):
      gradient = tf.constant(_gradient(step), tf.float32)
      optimizer.apply_gradients([(gradient, variable)])
    results.append(variable.numpy())
    optimizer.reset()
    assert int(optimizer.iterations) == 0
  np.testing.assert_array_equal(*results)


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
def test_cosine_falls_from_the_peak_to_zero(step, expected):
  assert rate(step) == pytest.approx(expected, abs=1e-6)


def test_cosine_can_be_constant_within_an_epoch():
  assert (
    rate(19, hold=10)
    == rate(10, hold=10)
    == pytest.approx(0.5 * (1 + math.cos(0.1 * math.pi)))
  )


@pytest.mark.parametrize(
  ("step", "expected"), [(59, 1.0), (60, 0.1), (79, 0.1), (80, 0.01)]
)
def test_steps_drop_where_moco_v1s_do(step, expected):
  assert rate(step, kind="step") == pytest.approx(expected)


def test_warm_up_is_linear():
  assert rate(5, warmup_steps=10) == pytest.approx(0.5)
  assert rate(10, warmup_steps=10) == pytest.approx(1.0)
  assert rate(100, warmup_steps=10) == pytest.approx(0.0)


def test_constant_stays():
  assert rate(0, kind="constant") == rate(99, kind="constant") == 1.0


def test_schedules_are_rebuilt_from_their_config():
  schedule = optimizers.LearningRate(0.3, 10, kind="step", drops=[0.5])
  copy = optimizers.LearningRate.from_config(schedule.get_config())
  assert [float(copy(i)) for i in range(10)] == [
    float(schedule(i)) for i in range(10)
  ]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
