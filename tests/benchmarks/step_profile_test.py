"""Tests of benchmarks.step_profile."""

import sys

import pytest
import tensorflow as tf

from benchmarks import step_profile


@pytest.mark.parametrize(
  ("operation", "group"),
  [
    ("_MklNativePadWithConv2D", step_profile.CONVOLUTIONS),
    ("Conv2DBackpropFilter", step_profile.CONVOLUTIONS),
    ("_MklMatMul", step_profile.CONVOLUTIONS),
    ("_MklNativeFusedBatchNormGradV3", "batch norm"),
    ("ReluGrad", "ReLU"),
    ("ResourceApplyMomentum", "updates of weights"),
    ("StatelessShuffle", step_profile.REST),
  ],
)
def test_an_operation_belongs_to_the_first_group_that_fits(operation, group):
  assert step_profile.group_of(operation) == group


def test_the_groups_sum_to_the_step_and_its_products_are_found():
  matrix = tf.random.stateless_normal([300, 300], [0, 1])

  @tf.function
  def step():
    return tf.nn.relu(matrix @ matrix) @ matrix

  whole, groups = step_profile.measure(step, runs=3)
  assert sum(groups.values()) == pytest.approx(whole)
  assert groups[step_profile.CONVOLUTIONS] > groups["ReLU"] > 0.0
  lines = step_profile.table("Step", whole, groups).splitlines()
  assert len(lines) == 3 + len(groups)
  assert lines[-1].startswith(f"| whole step | {1000 * whole:.1f} |")


def test_compiled_functions_are_a_group_of_their_own():
  matrix = tf.random.stateless_normal([1000, 1000], [0, 1])

  @tf.function(jit_compile=True)
  def compiled(values):
    return tf.math.tanh(values)

  @tf.function
  def step():
    return compiled(matrix) + compiled(2.0 * matrix)

  whole, groups = step_profile.measure(step, runs=3)
  assert sum(groups.values()) == pytest.approx(whole)
  assert groups[step_profile.COMPILED] > groups["sums"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
