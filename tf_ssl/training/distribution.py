"""Which devices train together."""

import tensorflow as tf


def strategy() -> tf.distribute.Strategy:
  """All GPUs of this machine together, or the one device there is."""
  gpus = tf.config.list_logical_devices("GPU")
  if len(gpus) > 1:
    return tf.distribute.MirroredStrategy()
  return tf.distribute.get_strategy()
