"""Exact nearest neighbors by cosine similarity, in bounded memory.

The matrix of similarities is computed tile by tile, on the accelerator if there
is one. `running_best` keeps the k best of each row, so that memory is bounded
by the size of a tile, and features may be memory maps.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation.knn import running_best
from tf_ssl.models import feature_extractor
from tf_ssl.ops import progress

_BAR_AFTER = 3.0  # Seconds without a progress bar.
_SMALLEST = np.finfo(np.float32).tiny  # Shorter features have no direction.


class _Limits(NamedTuple):
  """Sizes that bound the memory in use.

  Attributes:
    rows: values of the training or test features in memory at once.
    most_queries: test features in memory at once.
    tile: similarities in memory at once.
  """

  rows: int
  most_queries: int
  tile: int


# 32 and 16 MiB. Larger tiles are no faster on a CPU.
_CPU = _Limits(rows=2**23, most_queries=2**12, tile=2**22)
# 512 MiB and 1 GiB: the training features are copied to the accelerator once
# per `most_queries` test features.
_GPU = _Limits(rows=2**27, most_queries=2**16, tile=2**28)


class Neighbors(NamedTuple):
  """The nearest of N training features for test features start..start+b.

  Attributes:
    start: index of the first test feature.
    similarity: [b, k] float32, cosine similarities in descending order.
    index: [b, k] int64, indices of the training features; ties in ascending
      order.
  """

  start: int
  similarity: np.ndarray
  index: np.ndarray


def nearest(
  train: np.ndarray, test: np.ndarray, *, k: int, show_progress: bool = False
) -> Iterator[Neighbors]:
  """Finds the k nearest training features of every test feature.

  Similarities are products of unit vectors in float32, never TF32 or lower.
  Their rounding error, about 1e-7, decides between neighbors that are closer
  than that. A feature of zeros has similarity 0 to all others.

  Args:
    train: [N, D] float, of any length; arrays or memory maps.
    test: [M, D] float, of any length.
    k: number of neighbors, 1..N.
    show_progress: whether a longer search shows a progress bar.

  Yields:
    `Neighbors` of the test features in order, some thousand at a time.

  Raises:
    UsageError: features are empty, of different width or not finite, or k is
      out of range.
  """
  _check(train, test, k)
  lengths = {
    "train": _inverse_lengths("train", train),
    "test": _inverse_lengths("test", test),
  }
  limits = _GPU if tf.config.list_logical_devices("GPU") else _CPU
  most = max(1, limits.rows // train.shape[1])
  queries = min(len(test), limits.most_queries, most)
  columns = min(
    len(train), most, max(running_best.BLOCK, limits.tile // queries)
  )
  with (
    _full_precision(),
    progress.bar(
      "Nearest neighbors",
      total=len(train) * len(test),
      unit=" pairs",
      unit_scale=True,
      delay=_BAR_AFTER,
      disable=not show_progress,
    ) as bar,
  ):
    for start in range(0, len(test), queries):
      part = slice(start, start + queries)
      query = tf.constant(_scaled(test, lengths["test"], part))  # [b, D]
      best = running_best.RunningBest(query.shape[0], k)
      tiles = _tiles(len(train), columns, k)
      load = functools.partial(_load, train, lengths["train"])
      for first, bank in feature_extractor.map_ahead(load, tiles):
        best.add(tf.matmul(query, bank, transpose_b=True), first)
        bar.update(query.shape[0] * bank.shape[0])
      yield Neighbors(start, *best.result())


def _tiles(number: int, columns: int, k: int) -> Iterator[slice]:
  """Cuts 0..number into tiles of at most `columns`.

  The first tiles are small, each as large as all before it, so that few of
  their similarities have to be sorted.
  """
  first = 0
  while first < number:
    width = max(first, 2 * k)
    width = min(
      columns, math.ceil(width / running_best.BLOCK) * running_best.BLOCK
    )
    if width >= running_best.BLOCK:
      width -= width % running_best.BLOCK
    yield slice(first, min(first + width, number))
    first += width


def _load(
  train: np.ndarray, inverse: np.ndarray, part: slice
) -> tuple[int, tf.Tensor]:
  return part.start, tf.constant(_scaled(train, inverse, part))


def _scaled(
  features: np.ndarray, inverse: np.ndarray, part: slice
) -> np.ndarray:
  """Rows scaled to unit length: [b, D] float32."""
  return np.multiply(
    features[part], inverse[part, np.newaxis], dtype=np.float32
  )


def _inverse_lengths(name: str, features: np.ndarray) -> np.ndarray:
  """[N] float32, 0 for features of zeros; raises UsageError unless finite."""
  inverse = np.empty(len(features), np.float32)
  bad = 0
  step = max(1, _CPU.rows // features.shape[1])
  for start in range(0, len(features), step):
    rows = np.asarray(features[start : start + step], np.float32)
    largest = np.abs(rows).max(axis=1)  # Propagates NaN and inf.
    finite = np.isfinite(largest)
    bad += np.count_nonzero(~finite)
    scale = np.where(finite & (largest > 0), largest, 1.0)[:, np.newaxis]
    rows = rows / scale  # Squares neither overflow nor vanish.
    length = scale[:, 0] * np.sqrt(np.einsum("nd,nd->n", rows, rows))
    has_direction = length >= _SMALLEST
    inverse[start : start + step] = np.where(
      has_direction, 1 / np.where(has_direction, length, 1.0), 0.0
    )
  if bad:
    raise errors.UsageError(
      f"{bad} of {len(features)} rows of {name}_features hold NaN or infinity; "
      "the encoder that made them has diverged, or its weights are damaged"
    )
  return inverse


def _check(train: np.ndarray, test: np.ndarray, k: int) -> None:
  for name, features in (("train", train), ("test", test)):
    errors.require(
      features.ndim == 2 and features.size,
      f"{name}_features have shape {features.shape}; expected [N, D] with at "
      "least one image",
    )
  errors.require(
    train.shape[1] == test.shape[1],
    f"train_features are {train.shape[1]} wide and test_features "
    f"{test.shape[1]}; both must come from the same encoder",
  )
  check_k(k, len(train))


def check_k(k: int, number: int) -> None:
  """Raises UsageError unless 1 <= k <= number of training features."""
  errors.require(
    1 <= k <= number,
    f"k = {k} neighbors among {number} labeled images; k must be at least 1 "
    "and at most the number of images",
  )


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
  """Switches TF32 off until the context ends."""
  config = tf.config.experimental
  before = config.tensor_float_32_execution_enabled()
  config.enable_tensor_float_32_execution(False)
  try:
    yield
  finally:
    config.enable_tensor_float_32_execution(before)
