"""Takes batches from a tf.data service on other machines.

The service gives each chunk of examples to one of its workers, once. Chunks
arrive in the order in which they are ready; those of a worker that dies never
arrive. Training uses what arrives, and this module counts what does not.
"""

import threading
import time

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl.input_pipeline import data_service_host, loading

# Seconds after which an overtaken chunk counts as lost. Loading one takes a
# fraction of a second.
PATIENCE = 10.0


class DataService:
  """A running tf.data service, and the examples that it failed to deliver.

  Attributes:
    address: "host:port" of its dispatcher.
  """

  def __init__(self, address: str, *, patience: float | None = None):
    """Waits until the dispatcher answers.

    Args:
      address: "host:port" or "grpc://host:port" of the dispatcher.
      patience: time after which a chunk overtaken by others counts as lost,
        seconds; None for PATIENCE.

    Raises:
      UsageError: `address` is malformed, or nothing answers there.
    """
    self.address = address.removeprefix("grpc://")
    self._patience = PATIENCE if patience is None else patience
    self._arrivals: list[_Arrivals] = []  # One for each dataset.
    self._logged = 0
    self._logged_at = time.monotonic()
    data_service_host.find_dispatcher(self.address, "data_service_address")

  @property
  def lost(self) -> int:
    """Number of examples that count as lost so far."""
    return sum(each.lost for each in self._arrivals)

  def distribute(
    self, dataset: tf.data.Dataset, *, start: int, chunk_size: int
  ) -> tf.data.Dataset:
    """Makes the service produce an endless dataset of chunks.

    What an earlier dataset has not lost by now it will not lose any more.

    Args:
      dataset: dataset of `loading.Chunk` without references to this process.
      start: first example of the first chunk.
      chunk_size: number of examples in each chunk.

    Returns:
      The chunks in any order, each at most once.
    """
    for earlier in self._arrivals:
      earlier.close()
    arrivals = _Arrivals(chunk_size, self._patience)
    self._arrivals.append(arrivals)
    options = tf.data.Options()
    options.deterministic = False
    dataset = dataset.with_options(options).apply(
      tf.data.experimental.service.distribute(
        # Each chunk goes to the worker that asks first.
        tf.data.experimental.service.ShardingPolicy.DYNAMIC,
        f"grpc://{self.address}",
      )
    )

    def record(first: np.ndarray) -> np.int32:
      arrivals.add((int(first) - start) // chunk_size)
      now = time.monotonic()
      if now - self._logged_at > self._patience:  # One line per lost worker.
        self._logged_at = now
        self.log_lost()
      return np.int32(0)

    def recorded(chunk: loading.Chunk) -> loading.Chunk:
      done = tf.numpy_function(record, [chunk.first], tf.int32)
      with tf.control_dependencies([done]):
        return chunk._replace(first=tf.identity(chunk.first))

    return dataset.map(recorded)

  def log_lost(self) -> None:
    """Logs the number of lost examples if it has grown since the last call."""
    lost = self.lost
    if lost > self._logged:
      logging.warning(
        "data service: %d examples were lost with a worker (%d in total);"
        " training continues without them",
        lost - self._logged,
        lost,
      )
    self._logged = lost


class _Arrivals:
  """The chunks of one dataset that have arrived."""

  def __init__(self, chunk_size: int, patience: float):
    self._chunk_size, self._patience = chunk_size, patience
    self._lock = threading.Lock()
    self._next = 0  # Number of the last chunk that arrived + 1.
    self._missing: dict[int, float] = {}  # Overtaken chunks, and since when.
    self._lost: int | None = None  # Once closed.

  def add(self, number: int) -> None:
    now = time.monotonic()
    with self._lock:
      for overtaken in range(self._next, number):
        self._missing[overtaken] = now
      self._next = max(self._next, number + 1)
      self._missing.pop(number, None)

  @property
  def lost(self) -> int:
    """Number of examples that count as lost."""
    if self._lost is not None:
      return self._lost
    now = time.monotonic()
    with self._lock:
      return self._chunk_size * sum(
        now - since > self._patience for since in self._missing.values()
      )

  def close(self) -> None:
    """Keeps the number; nobody waits for further chunks."""
    self._lost = self.lost
