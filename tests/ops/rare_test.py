"""Tests of tf_ssl.ops.rare."""

import sys

import pytest
import tensorflow as tf

from tf_ssl.ops import rare


def operations(graph):
  return [operation.type for operation in graph.get_operations()]


def test_a_branch_is_one_operation_of_each_graph_and_is_traced_once():
  traces = []

  @rare.branch
  def sine_of_sum(a, b, times):
    traces.append(1)
    return times * tf.sin(a + b)

  for _ in range(2):
    graph = (
      tf.function(lambda x: sine_of_sum(x, x, 3.0))
      .get_concrete_function(tf.TensorSpec([]))
      .graph
    )
    found = operations(graph)
    assert "Sin" not in found
    assert sum("PartitionedCall" in kind for kind in found) == 1
  assert len(traces) == 1


def test_a_branch_computes_the_same_with_and_without_a_graph():
  branch = rare.branch(lambda x: tf.sin(x))
  x = tf.constant(0.3)
  assert float(branch(x)) == float(tf.function(branch)(x)) == float(tf.sin(x))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
