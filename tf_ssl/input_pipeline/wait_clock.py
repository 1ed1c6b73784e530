"""Measures how long training waits for data."""

import threading
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf


class WaitClock:
  """Measures the time that the consumer of a dataset waits for elements."""

  def __init__(self, clock: Callable[[], float] = time.perf_counter):
    """Initializes the clock at zero.

    Args:
      clock: function that returns the current time, seconds.
    """
    self._clock = clock
    self._lock = threading.Lock()
    self._started = 0.0
    self._seconds = 0.0

  @property
  def seconds(self) -> float:
    """Total waiting time so far, seconds."""
    with self._lock:
      return self._seconds

  def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with a time stamp before and after every element.

    It must not be followed by prefetching: the clock measures how long the next
    element takes once it is requested.
    """
    # zip requests the elements of its inputs one after another, in this order.
    zipped = tf.data.Dataset.zip(
      (self._stamps(self._start), dataset, self._stamps(self._stop))
    )
    watched = zipped.map(lambda before, element, after: element)
    options = tf.data.Options()
    # Both would take the stamps ahead of time, in another thread.
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return watched.with_options(options)

  def _stamps(self, stamp) -> tf.data.Dataset:
    return tf.data.Dataset.counter().map(
      lambda _: tf.numpy_function(stamp, [], tf.int32)
    )

  def _start(self) -> np.int32:
    with self._lock:
      self._started = self._clock()
    return np.int32(0)

  def _stop(self) -> np.int32:
    with self._lock:
      self._seconds += self._clock() - self._started
    return np.int32(0)
