"""Which devices train together, and how a CPU's threads are used."""

import tensorflow as tf
from absl import logging


def use_threads(per_operation: int) -> None:
  """Divides each operation among so many threads; 0 leaves it to TensorFlow.

  TensorFlow can only be told before it first computes: later, a warning says
  that the number is without effect.
  """
  now = tf.config.threading.get_intra_op_parallelism_threads()
  if per_operation in (0, now):
    return
  try:
    tf.config.threading.set_intra_op_parallelism_threads(per_operation)
  except RuntimeError:
    logging.warning(
      "threads_per_operation=%d is without effect: TensorFlow has computed in"
      " this process before.",
      per_operation,
    )


def strategy() -> tf.distribute.Strategy:
  """All GPUs of this machine together, or the one device there is."""
  gpus = tf.config.list_logical_devices("GPU")
  if len(gpus) > 1:
    return tf.distribute.MirroredStrategy()
  return tf.distribute.get_strategy()
