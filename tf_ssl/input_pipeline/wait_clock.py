"""How long training has been waiting for data."""

import threading
import time

import numpy as np
import tensorflow as tf


class WaitClock:
  """Measures the time that the consumer of a dataset is kept waiting.

  Attributes:
    seconds: all waiting until now.
  """

  def __init__(self):
    """Starts at zero."""
    self._lock = threading.Lock()
    self._started = 0.0
    self._seconds = 0.0

  @property
  def seconds(self) -> float:
    """All waiting until now, in seconds."""
    with self._lock:
      return self._seconds

  def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with a stamp before and after every element.

    Nothing may stand behind it that fetches ahead: what is measured is how long
    the next element takes when it is asked for.
    """
    # zip asks its inputs one after another, in this order.
    zipped = tf.data.Dataset.zip(
      (self._stamps(self._start), dataset, self._stamps(self._stop))
    )
    watched = zipped.map(lambda before, element, after: element)
    options = tf.data.Options()
    # Both would run the stamps ahead of time, in another thread.
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return watched.with_options(options)

  def _stamps(self, stamp) -> tf.data.Dataset:
    return tf.data.Dataset.counter().map(
      lambda _: tf.numpy_function(stamp, [], tf.int32)
    )

  def _start(self) -> np.int32:
    with self._lock:
      self._started = time.perf_counter()
    return np.int32(0)

  def _stop(self) -> np.int32:
    with self._lock:
      self._seconds += time.perf_counter() - self._started
    return np.int32(0)
