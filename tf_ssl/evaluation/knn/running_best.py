"""The k largest values of each row of a matrix that comes tile by tile.

A tile, once it is known what must be beaten, costs one look at it, for its
largest values in blocks of a row; only blocks with something better are looked
into, where they are few.
"""

import numpy as np
import tensorflow as tf

BLOCK = 64  # similarities of a row that are looked into, or not, together
_SPARSE = 8  # blocks are used where at most one in so many has something better
_DENSE = 4  # a tile of which one in so many is better is sorted whole
_NARROW, _WIDER = 16, 8  # rows with 1..16, 17..128, ... new ones are merged


class RunningBest:
  """The k best of what has been seen, for each of b rows.

  Of equal ones those of the lower column are kept, and stand first.
  """

  def __init__(self, rows: int, k: int):
    self._k = k
    self._rows = rows
    self._similarity = tf.zeros([rows, 0])  # [b, k], fewer at the start
    self._index = tf.zeros([rows, 0], tf.int64)
    self._counts = tf.zeros([rows], tf.int64)  # of pending ones
    self._pending = []  # (row, place, similarity, index), not merged yet

  def add(self, similarity: tf.Tensor, first: int) -> None:
    """Takes a tile [b, C], whose column 0 is training feature `first`."""
    if self._similarity.shape[1] < self._k:
      self._add_whole(similarity, first)
      return
    size = similarity.shape.num_elements()
    worst = self._similarity[:, -1]  # [b]
    blocks = None
    if not similarity.shape[1] % BLOCK:
      blocks = _better_blocks(similarity, worst)  # [S, 2]
    if blocks is not None and blocks.shape[0] * BLOCK * _SPARSE < size:
      found = _better_in(similarity, worst, blocks)
    else:
      found = _better(similarity, worst)
    row, values, column = found
    if row.shape[0] * _DENSE > size:
      self._add_whole(similarity, first)
      return
    # Where each stands among the pending ones of its row.
    place, counts = _places(row, self._counts)
    self._counts = counts
    self._pending.append((row, place, values, column + first))
    # Seldom enough that merging costs little, often enough that `worst` is not
    # far behind.
    count = sum(row.shape[0] for row, *_ in self._pending)
    if count > self._rows * max(8, self._k // 2):
      self._merge()

  def result(self) -> tuple[np.ndarray, np.ndarray]:
    """Similarities and indices, [b, k] each."""
    self._merge()
    return self._similarity.numpy(), self._index.numpy()

  def _add_whole(self, similarity: tf.Tensor, first: int) -> None:
    self._merge()
    count = min(self._k, similarity.shape[1])
    values, columns = tf.math.top_k(similarity, count)
    self._similarity, self._index = _best_of(
      self._similarity,
      self._index,
      values,
      tf.cast(columns, tf.int64) + first,
      k=self._k,
    )

  def _merge(self) -> None:
    """Takes in what is pending, of rows with few and with many by turns."""
    if not self._pending:
      return
    found = [
      tf.concat(each, axis=0) for each in zip(*self._pending, strict=True)
    ]
    counts = self._counts
    self._pending, self._counts = [], tf.zeros_like(counts)
    most, fewer, width = int(tf.reduce_max(counts)), 0, _NARROW
    while fewer < most:
      chosen = (counts > fewer) & (counts <= width)  # [b]
      self._merge_rows(chosen, min(width, most), *found)
      fewer, width = width, width * _WIDER

  def _merge_rows(self, chosen, width, row, place, values, index) -> None:
    """Merges the rows that are `chosen`, each with at most `width` new ones."""
    rows = tf.where(chosen)  # [r, 1]
    if not rows.shape[0]:
      return
    number = tf.cumsum(tf.cast(chosen, tf.int64), exclusive=True)
    own = tf.where(tf.gather(chosen, row))[:, 0]
    row, place, values, index = (
      tf.gather(x, own) for x in (row, place, values, index)
    )
    at = tf.stack([tf.gather(number, row), place], axis=1)  # [S, 2]
    shape = [rows.shape[0], width]
    similarity, found = _best_of(
      tf.gather_nd(self._similarity, rows),
      tf.gather_nd(self._index, rows),
      tf.tensor_scatter_nd_update(tf.fill(shape, -np.inf), at, values),
      tf.scatter_nd(at, index, tf.constant(shape, tf.int64)),
      k=self._k,
    )
    self._similarity = tf.tensor_scatter_nd_update(
      self._similarity, rows, similarity
    )
    self._index = tf.tensor_scatter_nd_update(self._index, rows, found)


@tf.function(
  input_signature=[
    tf.TensorSpec([None], tf.int64),
    tf.TensorSpec([None], tf.int64),
  ],
  autograph=False,
)
def _places(row: tf.Tensor, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Numbers what is found in each row, which comes in the order of rows.

  Args:
    row: [S], ascending.
    before: [b], how many each row has already.

  Returns:
    [S] and, how many each row has then, [b].
  """
  counts = tf.math.unsorted_segment_sum(tf.ones_like(row), row, tf.size(before))
  start = before - tf.cumsum(counts, exclusive=True)
  place = tf.range(tf.size(row, tf.int64)) + tf.gather(start, row)
  return place, before + counts


def _best_of(similarity, index, more, more_index, *, k):
  """The k best of [b, m] and [b, n], where those of the first come first.

  Of equal ones `top_k` takes the first, which is that of the lower index.
  """
  similarity = tf.concat([similarity, more], axis=1)
  index = tf.concat([index, more_index], axis=1)
  similarity, place = tf.math.top_k(similarity, min(k, similarity.shape[1]))
  return similarity, tf.gather(index, place, batch_dims=1)


@tf.function(
  input_signature=[
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None], tf.float32),
  ],
  autograph=False,
)
def _better_blocks(similarity: tf.Tensor, worst: tf.Tensor) -> tf.Tensor:
  """[S, 2] int64, row and block: where something is above the row's `worst`."""
  blocks = tf.reduce_max(_in_blocks(similarity), axis=2)  # [b, C / block]
  return tf.where(blocks > worst[:, tf.newaxis])


@tf.function(
  input_signature=[
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None], tf.float32),
    tf.TensorSpec([None, 2], tf.int64),
  ],
  autograph=False,
)
def _better_in(similarity: tf.Tensor, worst: tf.Tensor, blocks: tf.Tensor):
  """`_better`, of these blocks alone."""
  values = tf.gather_nd(_in_blocks(similarity), blocks)  # [S, block]
  row, block = tf.unstack(blocks, axis=1)
  place = tf.where(values > tf.gather(worst, row)[:, tf.newaxis])
  column = tf.gather(block, place[:, 0]) * BLOCK + place[:, 1]
  return tf.gather(row, place[:, 0]), tf.gather_nd(values, place), column


@tf.function(
  input_signature=[
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None], tf.float32),
  ],
  autograph=False,
)
def _better(similarity: tf.Tensor, worst: tf.Tensor):
  """Row, similarity and column of what is above `worst`, by row and column."""
  place = tf.where(similarity > worst[:, tf.newaxis])
  return place[:, 0], tf.gather_nd(similarity, place), place[:, 1]


def _in_blocks(similarity: tf.Tensor) -> tf.Tensor:
  rows, columns = tf.unstack(tf.shape(similarity))
  return tf.reshape(similarity, [rows, columns // BLOCK, BLOCK])
