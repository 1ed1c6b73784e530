"""Batches made on other machines, through a tf.data service.

The service hands every chunk of examples to one of its workers, once. Chunks
come in the order in which they are ready; those that a worker had when it died
never come. Training takes what does come, and what does not is counted here.
"""

import threading
import time

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.input_pipeline import chunks
from tf_ssl.ops import addresses

# Seconds after which a chunk whose successors came is taken for lost. Loading
# one takes a fraction of a second.
PATIENCE = 10.0


class DataService:
  """A running tf.data service, and what it has failed to deliver.

  Attributes:
    address: "host:port" of its dispatcher.
  """

  def __init__(self, address: str, *, patience: float | None = None):
    """Waits until the dispatcher answers.

    Args:
      address: "host:port" of the dispatcher, also as "grpc://host:port".
      patience: seconds after which a chunk that others have overtaken is taken
        for lost; PATIENCE by default.

    Raises:
      UsageError: `address` is none, or nothing answers there.
    """
    self.address = address.removeprefix("grpc://")
    self._patience = PATIENCE if patience is None else patience
    self._lock = threading.Lock()
    self._next = 0  # one past the last chunk that came
    self._missing: dict[int, float] = {}  # overtaken chunks, and since when
    self._chunk_size = 1
    self._told = 0
    self._told_at = time.monotonic()
    try:
      addresses.wait(self.address, seconds=addresses.SECONDS)
    except ValueError:
      raise errors.UsageError(
        f"data_service_address {address!r}: expected host:port of the"
        " dispatcher, such as 'localhost:5050'; change data_service_address."
      ) from None
    except TimeoutError:
      raise errors.UsageError(
        f"data_service_address {address!r}: nothing answered within"
        f" {addresses.SECONDS:g} seconds; start it there with"
        " python -m tools.data_service, or change data_service_address."
      ) from None

  @property
  def lost(self) -> int:
    """Number of examples taken for lost until now."""
    now = time.monotonic()
    with self._lock:
      return self._chunk_size * sum(
        now - since > self._patience for since in self._missing.values()
      )

  def distribute(
    self, dataset: tf.data.Dataset, *, start: int, chunk_size: int
  ) -> tf.data.Dataset:
    """Has the service make an endless dataset of chunks.

    Args:
      dataset: of `chunks.Chunk`, which nothing binds to this process.
      start: the first example of the first chunk.
      chunk_size: examples in each.

    Returns:
      The chunks in any order; each at most once.
    """
    self._chunk_size = chunk_size
    options = tf.data.Options()
    options.deterministic = False
    dataset = dataset.with_options(options).apply(
      tf.data.experimental.service.distribute(
        # each chunk to whichever worker asks first
        tf.data.experimental.service.ShardingPolicy.DYNAMIC,
        f"grpc://{self.address}",
      )
    )

    def come(first: np.ndarray) -> np.int32:
      self._arrived((int(first) - start) // chunk_size)
      return np.int32(0)

    def note(chunk: chunks.Chunk) -> chunks.Chunk:
      noted = tf.numpy_function(come, [chunk.first], tf.int32)
      with tf.control_dependencies([noted]):
        return chunk._replace(first=tf.identity(chunk.first))

    return dataset.map(note)

  def _arrived(self, number: int) -> None:
    now = time.monotonic()
    with self._lock:
      for overtaken in range(self._next, number):
        self._missing[overtaken] = now
      self._next = max(self._next, number + 1)
      self._missing.pop(number, None)
    if now - self._told_at > self._patience:  # a worker's chunks in one line
      self._told_at = now
      self.tell()

  def tell(self) -> None:
    """Logs how many examples were lost, where they are more than at last."""
    lost = self.lost
    if lost > self._told:
      logging.warning(
        "data service: %d examples were lost with a worker (%d in all);"
        " training goes on without them.",
        lost - self._told,
        lost,
      )
    self._told = lost
