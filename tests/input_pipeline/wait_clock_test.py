"""Tests of tf_ssl.input_pipeline.wait_clock with a clock of its own."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.input_pipeline import wait_clock


class FakeTime:
  """A time that passes only when it is told to."""

  def __init__(self):
    self.now = 100.0

  def __call__(self):
    return self.now

  def dataset(self, seconds, count=5):
    """A dataset in which making an element takes some seconds."""

    def make(i):
      self.now += seconds
      return i

    return tf.data.Dataset.range(count).map(
      lambda i: tf.ensure_shape(tf.numpy_function(make, [i], tf.int64), [])
    )


def test_elements_pass_unchanged():
  time = FakeTime()
  watched = wait_clock.WaitClock().watch(time.dataset(0.0))
  assert [int(x) for x in watched] == [0, 1, 2, 3, 4]
  assert watched.element_spec.dtype == tf.int64


def test_structures_pass_unchanged():
  dataset = tf.data.Dataset.from_tensors({"a": np.ones(2), "b": (1, 2)})
  found = next(iter(wait_clock.WaitClock().watch(dataset)))
  assert set(found) == {"a", "b"} and len(found["b"]) == 2


def test_the_time_to_make_elements_counts_and_the_consumers_does_not():
  time = FakeTime()
  clock = wait_clock.WaitClock(time)
  for number, _ in enumerate(clock.watch(time.dataset(2.0))):
    assert clock.seconds == 2.0 * (number + 1)
    time.now += 7.0  # The consumer's own time.
  assert clock.seconds == 5 * 2.0


def test_elements_that_are_ready_cost_nothing():
  time = FakeTime()
  clock = wait_clock.WaitClock(time)
  ready = time.dataset(2.0).cache()
  list(ready)
  for _ in clock.watch(ready):
    time.now += 7.0
  assert clock.seconds == 0.0


def test_the_default_clock_is_the_processes():
  clock = wait_clock.WaitClock()
  assert clock.seconds == 0.0
  list(clock.watch(tf.data.Dataset.range(3)))
  assert clock.seconds > 0.0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
