"""Memory bank: one embedding for each image of the dataset."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import cross_replica

DTYPES = ("float32", "float16")
_WORKING_BYTES = 64 << 20  # Bank rows in memory at a time, in float32.


class MemoryBank(tf.keras.layers.Layer):
  """N embeddings of unit length, read by row number and written in place.

  It starts with rows that are uniform in -1..1 and scaled to unit length. Every
  replica holds the same bank: writes are gathered from all replicas. The bank
  is never copied. At most 64 MiB of its rows are in memory a second time, or
  the negatives of one example if they are larger (16 MB for 32,000 of width
  128).

  Attributes:
    embeddings: variable [N, E].
  """

  def __init__(
    self,
    num_images: int,
    embedding_size: int,
    *,
    dtype: str = "float32",
    seed: int = 0,
    name="memory_bank",
  ):
    """Creates a bank of random rows.

    Args:
      num_images: N, at least 2.
      embedding_size: E.
      dtype: "float32", or "float16" for half of the memory.
      seed: seed of the initial rows.
      name: name of the Keras layer.

    Raises:
      UsageError: N < 2, or the dtype is unknown.
    """
    super().__init__(dtype="float32", name=name)
    errors.require(
      num_images >= 2,
      f"memory bank for {num_images} images: expected at least 2, to have"
      " negatives; change IMAGES",
    )
    errors.require(
      dtype in DTYPES,
      f"memory bank of {dtype!r}: expected one of {', '.join(DTYPES)}; change"
      " `bank_dtype`",
    )
    self.embeddings = tf.Variable(
      _random_rows(
        tf.constant([num_images, embedding_size]), tf.constant(seed), dtype
      ),
      trainable=False,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      name="embeddings",
    )
    self.built = True  # Never called, so Keras must not try to build it.

  @property
  def num_images(self) -> int:
    """N."""
    return self.embeddings.shape[0]

  def read(self, index: tf.Tensor) -> tf.Tensor:
    """Rows by number: [...] integers -> [..., E] float32."""
    return tf.cast(tf.gather(self.embeddings, index), tf.float32)

  def negative_similarities(
    self,
    queries: tf.Tensor,
    index: tf.Tensor,
    examples: tf.Tensor,
    *,
    count: int,
    seed: int,
  ) -> tf.Tensor:
    """Similarities to random rows, different for each example, never its own.

    For the gradient the rows are drawn and read a second time, not kept.

    Args:
      queries: [B, Q, E], Q embeddings of each example.
      index: [B] int64, each example's own row.
      examples: [B] int64, numbers of the examples in the run. Together with
        `seed` they determine the rows.
      count: M, negatives per example.
      seed: seed of the random rows.

    Returns:
      [B, Q, M] float32.
    """
    batch = queries.shape[0] or 1
    row_bytes = 4 * count * self.embeddings.shape[1]
    block = max(1, min(batch, _WORKING_BYTES // row_bytes))
    while batch % block:
      block -= 1

    def rows(index, examples):
      return self.read(
        draw_negatives(
          index, examples, count=count, num_images=self.num_images, seed=seed
        )
      )  # [block, M, E]

    def blocks(function, *tensors, shape):
      if block == batch and queries.shape[0]:
        return function(*tensors)
      parts = [tf.reshape(x, [-1, block, *x.shape[1:]]) for x in tensors]
      result = tf.map_fn(
        lambda part: function(*part),
        tuple(parts),
        fn_output_signature=tf.TensorSpec([block, *shape], tf.float32),
        parallel_iterations=1,
      )
      return tf.reshape(result, [-1, *shape])

    num_queries, size = queries.shape[1:]

    @tf.custom_gradient
    def similarities(queries):
      forward = blocks(
        lambda q, i, e: tf.matmul(q, rows(i, e), transpose_b=True),
        queries,
        index,
        examples,
        shape=[num_queries, count],
      )

      def gradient(upstream):
        return blocks(
          lambda u, i, e: tf.matmul(u, rows(i, e)),
          upstream,
          index,
          examples,
          shape=[num_queries, size],
        )

      return forward, gradient

    return similarities(tf.cast(queries, tf.float32))

  def write(
    self, index: tf.Tensor, embeddings: tf.Tensor, *, momentum: float
  ) -> None:
    """Writes rows of all replicas: m ← normalize(momentum·m + (1-momentum)·f).

    Args:
      index: [B] int64 on each replica. If a number occurs twice in the global
        batch, the last one is written.
      embeddings: [B, E], unit length, f above; outside of any gradient tape.
      momentum: weight of the old row, 0..1.
    """
    index = cross_replica.gather(index)  # [R·B]
    new = cross_replica.gather(tf.cast(embeddings, tf.float32))
    mixed = momentum * self.read(index) + (1.0 - momentum) * new
    mixed = tf.math.l2_normalize(mixed, axis=1)
    # Duplicates all write the value of the last one: their order is free.
    twins = tf.cast(index[:, None] == index[::-1], tf.int32)  # [R·B, R·B]
    last = tf.size(index) - 1 - tf.argmax(twins, axis=1, output_type=tf.int32)
    values = tf.cast(tf.gather(mixed, last), self.embeddings.dtype)
    self.embeddings.scatter_update(tf.IndexedSlices(values, index))


def draw_negatives(
  index: tf.Tensor,
  examples: tf.Tensor,
  *,
  count: int,
  num_images: int,
  seed: int,
) -> tf.Tensor:
  """Draws rows of negatives, uniformly and with replacement.

  Args:
    index: [B] integer, the examples' own rows, which are never drawn.
    examples: [B] integer, numbers of the examples in the run.
    count: M, negatives per example.
    num_images: N, number of rows.
    seed: seed of the draws.

  Returns:
    [B, M] int64.
  """

  def one(own_and_example):
    own, example = own_and_example
    drawn = tf.random.stateless_uniform(
      [count],
      tf.stack([tf.constant(seed, tf.int64), example]),
      maxval=num_images - 1,
      dtype=tf.int32,
      alg="philox",
    )
    drawn = tf.cast(drawn, tf.int64)
    return drawn + tf.cast(drawn >= own, tf.int64)

  return tf.map_fn(
    one,
    (tf.cast(index, tf.int64), tf.cast(examples, tf.int64)),
    fn_output_signature=tf.TensorSpec([count], tf.int64),
  )


@tf.function
def _random_rows(shape: tf.Tensor, seed: tf.Tensor, dtype: str) -> tf.Tensor:
  """[N, E], unit length; a graph, which scales the rows in place."""
  rows = tf.random.stateless_uniform(
    shape, tf.stack([seed, 1]), -1.0, 1.0, dtype=dtype, alg="philox"
  )
  squares = tf.matmul(rows[:, None], rows[:, :, None])[:, 0]  # [N, 1], no copy
  return rows * tf.math.rsqrt(squares)
