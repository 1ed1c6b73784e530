"""Exact nearest neighbors by cosine similarity, however many features.

Tiles of the matrix of similarities are computed one after another, on the
accelerator when there is one, and each leaves only what is better than the k-th
best so far (`running_best`): memory is bounded by the tile, and features may be
memory maps.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from tf_ssl import errors
from tf_ssl.evaluation.knn import running_best
from tf_ssl.models import feature_extractor

_BAR_AFTER = 3.0  # seconds
_SMALLEST = np.finfo(np.float32).tiny  # shorter features have no direction


class _Limits(NamedTuple):
  """How much is held at once.

  Attributes:
    rows: features of either side, in values.
    most_queries: features of the test side.
    tile: similarities.
  """

  rows: int
  most_queries: int
  tile: int


# 32 and 16 MiB. Larger tiles gain nothing on a CPU.
_CPU = _Limits(rows=2**23, most_queries=2**12, tile=2**22)
# 512 MiB and 1 GiB: the training features pass to the accelerator once for so
# many test features.
_GPU = _Limits(rows=2**27, most_queries=2**16, tile=2**28)


class Neighbors(NamedTuple):
  """The nearest of N training features for test features start..start+b.

  Attributes:
    start: which of the test features comes first.
    similarity: [b, k] float32, cosines, the largest first.
    index: [b, k] int64, which of the training features; of equal cosines the
      lower index comes first.
  """

  start: int
  similarity: np.ndarray
  index: np.ndarray


def nearest(
  train: np.ndarray, test: np.ndarray, *, k: int, show_progress: bool = False
) -> Iterator[Neighbors]:
  """Finds the k nearest training features of every test feature.

  Cosines are products of unit vectors in float32 (never TF32 or less); what
  differs by less than their rounding, about 1e-7, counts as it comes out. A
  feature of zeros has the cosine 0 with all.

  Args:
    train: [N, D] float, any length; arrays or memory maps.
    test: [M, D] float.
    k: 1..N.
    show_progress: whether to draw a bar where it takes long.

  Yields:
    `Neighbors` of the test features in order, some thousand at a time.

  Raises:
    UsageError: features that do not fit together, that are none, or not finite;
      k out of range.
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
    tqdm.tqdm(
      total=len(train) * len(test),
      desc="Neighbors",
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

  The first ones are small, each as large as all before it: at most as many of
  its similarities are better as are kept, and sorting costs least.
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
  """Features of a part, of unit length: [b, D] float32."""
  return np.multiply(
    features[part], inverse[part, np.newaxis], dtype=np.float32
  )


def _inverse_lengths(name: str, features: np.ndarray) -> np.ndarray:
  """[N] float32, 0 for features of zeros; refuses what is not finite."""
  inverse = np.empty(len(features), np.float32)
  bad = 0
  step = max(1, _CPU.rows // features.shape[1])
  for start in range(0, len(features), step):
    rows = np.asarray(features[start : start + step], np.float32)
    largest = np.abs(rows).max(axis=1)  # NaN and infinity come through
    finite = np.isfinite(largest)
    bad += np.count_nonzero(~finite)
    scale = np.where(finite & (largest > 0), largest, 1.0)[:, np.newaxis]
    rows = rows / scale  # so that squares neither overflow nor vanish
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
    if features.ndim != 2 or not features.size:
      raise errors.UsageError(
        f"{name}_features have shape {features.shape}; expected [N, D] with at "
        "least one image"
      )
  if train.shape[1] != test.shape[1]:
    raise errors.UsageError(
      f"train_features are {train.shape[1]} wide and test_features "
      f"{test.shape[1]}; both must come from the same encoder"
    )
  check_k(k, len(train))


def check_k(k: int, number: int) -> None:
  """Refuses k neighbors among `number` with a `UsageError`."""
  if not 1 <= k <= number:
    raise errors.UsageError(
      f"k = {k} neighbors were asked for among {number} labeled images; "
      "k must be at least 1 and at most their number"
    )


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
  """Inside, accelerators multiply float32 as float32."""
  config = tf.config.experimental
  before = config.tensor_float_32_execution_enabled()
  config.enable_tensor_float_32_execution(False)
  try:
    yield
  finally:
    config.enable_tensor_float_32_execution(before)
