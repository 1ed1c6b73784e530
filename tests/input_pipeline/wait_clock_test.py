"""Tests of tf_ssl.input_pipeline.wait_clock."""

import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.input_pipeline import wait_clock


def slow_dataset(seconds, count=5):
  def wait(i):
    time.sleep(seconds)
    return i

  return tf.data.Dataset.range(count).map(
    lambda i: tf.ensure_shape(tf.numpy_function(wait, [i], tf.int64), [])
  )


def test_elements_pass_unchanged():
  clock = wait_clock.WaitClock()
  found = [int(x) for x in clock.watch(slow_dataset(0.0))]
  assert found == [0, 1, 2, 3, 4]
  assert clock.watch(slow_dataset(0.0)).element_spec.dtype == tf.int64


def test_slow_data_is_waited_for():
  clock = wait_clock.WaitClock()
  for _ in clock.watch(slow_dataset(0.1)):
    pass
  assert 0.5 <= clock.seconds < 1.5


def test_the_consumers_own_time_does_not_count():
  clock = wait_clock.WaitClock()
  prefetched = slow_dataset(0.01).prefetch(2)
  for _ in clock.watch(prefetched):
    time.sleep(0.15)
  assert clock.seconds < 0.4  # consuming took 0.75


def test_structures_pass_too():
  dataset = tf.data.Dataset.from_tensors({"a": np.ones(2), "b": (1, 2)})
  found = next(iter(wait_clock.WaitClock().watch(dataset)))
  assert set(found) == {"a", "b"} and len(found["b"]) == 2


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
