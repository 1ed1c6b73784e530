"""The k largest values of each row of a matrix that arrives tile by tile.

Once k values per row are known, a tile costs one pass for the maximum of each
block of a row. Only blocks whose maximum exceeds the row's k-th value are
searched, as long as they are few.
"""

import numpy as np
import tensorflow as tf

BLOCK = 64  # Similarities of a row that share one maximum.
_SPARSE = 8  # Blocks are searched if at most 1 of 8 has a better similarity.
_DENSE = 4  # A tile with more than 1 of 4 better similarities is sorted.
_TILE = tf.TensorSpec([None, None], tf.float32)  # [b, C]
_WORST = tf.TensorSpec([None], tf.float32)  # [b]
_NARROW, _WIDER = 16, 8  # Rows with 1..16, 17..128, ... candidates are merged.


class RunningBest:
  """The k largest similarities so far for each of b rows.

  Ties go to the lower column, which is also listed first.
  """

  def __init__(self, rows: int, k: int):
    self._k = k
    self._rows = rows
    self._similarity = tf.zeros([rows, 0])  # [b, k], narrower at the start.
    self._index = tf.zeros([rows, 0], tf.int64)
    self._counts = tf.zeros([rows], tf.int64)  # Pending candidates per row.
    self._pending = []  # (row, place, similarity, index) of candidates.

  def add(self, similarity: tf.Tensor, first: int) -> None:
    """Adds a tile [b, C] whose column 0 is training feature `first`."""
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
    # Place of each candidate among those pending in its row.
    place, counts = _places(row, self._counts)
    self._counts = counts
    self._pending.append((row, place, values, column + first))
    # Rare enough that merging is cheap, frequent enough that `worst` stays
    # close to the current k-th value.
    count = sum(row.shape[0] for row, *_ in self._pending)
    if count > self._rows * max(8, self._k // 2):
      self._merge()

  def result(self) -> tuple[np.ndarray, np.ndarray]:
    """Similarities [b, k] float32 and column indices [b, k] int64."""
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
    """Merges the pending candidates, rows with few before rows with many."""
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
    """Merges the `chosen` rows, which have at most `width` candidates each."""
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
  input_signature=[tf.TensorSpec([None], tf.int64)] * 2, autograph=False
)
def _places(row: tf.Tensor, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Numbers the candidates within each row.

  Args:
    row: [S] int64, row of each candidate, ascending.
    before: [b] int64, number of candidates that each row already has.

  Returns:
    Place of each candidate in its row [S], and candidates per row [b].
  """
  counts = tf.math.unsorted_segment_sum(tf.ones_like(row), row, tf.size(before))
  start = before - tf.cumsum(counts, exclusive=True)
  place = tf.range(tf.size(row, tf.int64)) + tf.gather(start, row)
  return place, before + counts


def _best_of(similarity, index, more, more_index, *, k):
  """The k largest of [b, m] and [b, n]; all indices of the first are lower.

  `top_k` breaks ties by position, hence by index.
  """
  similarity = tf.concat([similarity, more], axis=1)
  index = tf.concat([index, more_index], axis=1)
  similarity, place = tf.math.top_k(similarity, min(k, similarity.shape[1]))
  return similarity, tf.gather(index, place, batch_dims=1)


@tf.function(input_signature=[_TILE, _WORST], autograph=False)
def _better_blocks(similarity: tf.Tensor, worst: tf.Tensor) -> tf.Tensor:
  """[S, 2] int64: row and number of the blocks that exceed `worst` [b]."""
  blocks = tf.reduce_max(_in_blocks(similarity), axis=2)  # [b, C / block]
  return tf.where(blocks > worst[:, tf.newaxis])


@tf.function(
  input_signature=[_TILE, _WORST, tf.TensorSpec([None, 2], tf.int64)],
  autograph=False,
)
def _better_in(similarity: tf.Tensor, worst: tf.Tensor, blocks: tf.Tensor):
  """`_better`, restricted to these blocks [S, 2]."""
  values = tf.gather_nd(_in_blocks(similarity), blocks)  # [S, block]
  row, block = tf.unstack(blocks, axis=1)
  place = tf.where(values > tf.gather(worst, row)[:, tf.newaxis])
  column = tf.gather(block, place[:, 0]) * BLOCK + place[:, 1]
  return tf.gather(row, place[:, 0]), tf.gather_nd(values, place), column


@tf.function(input_signature=[_TILE, _WORST], autograph=False)
def _better(similarity: tf.Tensor, worst: tf.Tensor):
  """Row, value and column of similarities [b, C] above `worst` [b]."""
  place = tf.where(similarity > worst[:, tf.newaxis])
  return place[:, 0], tf.gather_nd(similarity, place), place[:, 1]


def _in_blocks(similarity: tf.Tensor) -> tf.Tensor:
  rows, columns = tf.unstack(tf.shape(similarity))
  return tf.reshape(similarity, [rows, columns // BLOCK, BLOCK])
