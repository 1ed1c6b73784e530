"""MoCo's dictionary: a first-in-first-out queue of keys."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import cross_replica


class KeyQueue(tf.keras.layers.Layer):
  """The last K keys, which serve as negatives.

  It starts with Gaussian rows of unit length. Every replica holds the same
  queue: keys are gathered from all replicas before they are written.

  Attributes:
    keys: variable [K, E] float32, unit length.
    head: variable [] int64, row that is written next.
    filled: variable [] int64, number of rows written so far, the first ones;
      None unless the queue is warm.
  """

  def __init__(
    self,
    length: int,
    embedding_size: int,
    *,
    warm: bool = False,
    seed: int = 0,
    name="queue",
  ):
    """Creates a queue of random rows.

    Args:
      length: K, at least 1.
      embedding_size: E.
      warm: whether only keys serve as negatives, not the initial rows.
      seed: seed of the initial rows.
      name: name of the Keras layer.

    Raises:
      UsageError: `length` is below 1.
    """
    super().__init__(dtype="float32", name=name)
    errors.require(
      length >= 1,
      f"queue of length {length}: expected at least 1; change QUEUE_SIZE",
    )
    rows = tf.random.stateless_normal([length, embedding_size], [seed, 0])
    once = tf.VariableAggregation.ONLY_FIRST_REPLICA
    self.keys = tf.Variable(
      tf.math.l2_normalize(rows, axis=1),
      trainable=False,
      aggregation=once,
      name="keys",
    )
    self.head = tf.Variable(
      0, dtype=tf.int64, trainable=False, aggregation=once, name="head"
    )
    self.filled = None
    if warm:
      self.filled = tf.Variable(
        0, dtype=tf.int64, trainable=False, aggregation=once, name="filled"
      )
    self.built = True  # Never called, so Keras must not try to build it.

  @property
  def length(self) -> int:
    """K."""
    return self.keys.shape[0]

  def written(self) -> tf.Tensor | None:
    """Which rows are negatives, [K] bool; None for all of them."""
    if self.filled is None:
      return None
    return tf.range(self.length, dtype=tf.int64) < self.filled

  def enqueue(self, keys: tf.Tensor) -> None:
    """Overwrites the oldest rows with the keys of all replicas.

    Args:
      keys: [B, E] on each replica, outside of any gradient tape. Of a global
        batch larger than K, the last K keys are kept.
    """
    keys = tf.cast(cross_replica.gather(keys), tf.float32)  # [R·B, E]
    count = tf.shape(keys, out_type=tf.int64)[0]
    kept = tf.minimum(count, self.length)
    slots = (self.head + count - kept + tf.range(kept)) % self.length
    self.keys.scatter_update(tf.IndexedSlices(keys[count - kept :], slots))
    self.head.assign((self.head + count) % self.length)
    if self.filled is not None:
      self.filled.assign(tf.minimum(self.filled + count, self.length))


def default_length(num_images: int, batch_size: int) -> int:
  """Length of the queue for a dataset of a given size.

  For ImageNet it is MoCo's 65,536. For a smaller dataset it is the largest
  power of two that is at most half of the number of images, so that a key has
  left the queue before its own image returns, and at least one batch.

  Args:
    num_images: N, number of images of the dataset.
    batch_size: global batch size.
  """
  half = max(num_images // 2, 1)
  power = 1 << (half.bit_length() - 1)
  return max(min(65536, power), min(batch_size, num_images - 1), 1)
