"""A memory bank: one remembered embedding for each image of the dataset."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import cross_replica

DTYPES = ("float32", "float16")
_WORKING_BYTES = 64 << 20  # of bank rows held at a time, in float32


class MemoryBank(tf.keras.layers.Layer):
  """N embeddings of unit length, read by number and written in place.

  Starts with rows whose numbers are uniform in -1..1, scaled to unit length.
  Every replica holds the same bank: what is written is gathered from all.
  Nothing ever copies the bank; of its rows at most 64 MiB are held at a time,
  or one sample's negatives where those are more (16 MB for 32,000 of 128).

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
    """Fills the bank with random rows.

    Args:
      num_images: N, at least 2.
      embedding_size: E.
      dtype: "float32", or "float16" for half of the memory.
      seed: of the initial rows.
      name: of the Keras layer.

    Raises:
      UsageError: N < 2, or another dtype.
    """
    super().__init__(dtype="float32", name=name)
    if num_images < 2:
      raise errors.UsageError(
        f"memory bank for {num_images} images: expected at least 2, or there is"
        " nothing to compare with; change IMAGES."
      )
    if dtype not in DTYPES:
      raise errors.UsageError(
        f"memory bank of {dtype!r}: expected one of {', '.join(DTYPES)}; change"
        " `bank_dtype`."
      )
    self.embeddings = tf.Variable(
      _random_rows(
        tf.constant([num_images, embedding_size]), tf.constant(seed), dtype
      ),
      trainable=False,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      name="embeddings",
    )
    self.built = True  # never called, so Keras must not try to build it

  @property
  def num_images(self) -> int:
    """N."""
    return self.embeddings.shape[0]

  def read(self, index: tf.Tensor) -> tf.Tensor:
    """[...] integers -> [..., E] float32."""
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
    """Similarities to rows that are drawn for each example, never its own.

    The rows are drawn and read again for the gradient, not kept.

    Args:
      queries: [B, Q, E], Q embeddings of each example.
      index: [B] int64, each example's own row.
      examples: [B] int64, numbers of the examples in the run, which with `seed`
        determine the draws.
      count: M, negatives per example.
      seed: of the draws.

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
    """M ← normalize(momentum · m + (1 - momentum) · f), of all replicas.

    Args:
      index: [B] int64 on each replica. Where a number comes twice in the global
        batch, the last one is written.
      embeddings: [B, E], unit length, under no gradient.
      momentum: how much of the old stays.
    """
    index = cross_replica.gather(index)  # [R·B]
    new = cross_replica.gather(tf.cast(embeddings, tf.float32))
    mixed = momentum * self.read(index) + (1.0 - momentum) * new
    mixed = tf.math.l2_normalize(mixed, axis=1)
    # Twins all write what the last of them has: the order does not matter then.
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
  """[B] own rows -> [B, count] int64: other rows, uniform, with repeats."""

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
  """[N, E]; a graph, in which the scaled rows take the place of the others."""
  rows = tf.random.stateless_uniform(
    shape, tf.stack([seed, 1]), -1.0, 1.0, dtype=dtype, alg="philox"
  )
  squares = tf.matmul(rows[:, None], rows[:, :, None])[:, 0]  # [N, 1], no copy
  return rows * tf.math.rsqrt(squares)
