"""When a unit fires, and in how many images of each set. NumPy only."""

import itertools
import mmap
import os
from collections.abc import Iterable
from concurrent import futures
from typing import NamedTuple

import numpy as np

from tf_ssl import errors

# All threads' copies of units together are at most this share of the features,
# or where these are few, this many bytes.
_COPIED_SHARE, _COPIED_BYTES = 1 / 8, 2**23
_MOST_UNITS = 64  # of one copy
# Rows copied at once: with 64 units, 64 KiB, so that they stay in the cache.
_TILE_ROWS = 256
# The size of the sample that tells where about a threshold lies, and by how
# many standard deviations of its rank the guess is lowered. A bad guess, about
# 1 in 30,000, costs time and nothing else.
_SAMPLE, _DEVIATIONS = 1024, 4


class Firing(NamedTuple):
  """The firing of every unit: all that a score needs to know of the features.

  A unit fires with its positive sign above `high`, with its negative sign below
  `low`; both strictly. M memberships (usually one) divide the same images into
  S sets each.

  Attributes:
    high: [D], dtype of the features; the value at `rank` of the sorted unit.
    low: [D], the same counted from the largest value down.
    above: [M, S, D] uint8 or more, number of images of the set above `high`.
    below: [M, S, D], number of images of the set below `low`.
    at_or_above: [D] int64, number of all images at `high` or above.
    constant: [D] bool, the unit has the same value in all images.
  """

  high: np.ndarray
  low: np.ndarray
  above: np.ndarray
  below: np.ndarray
  at_or_above: np.ndarray
  constant: np.ndarray


def measure(
  features: np.ndarray,
  memberships: np.ndarray,
  num_sets: int,
  *,
  rank: int,
  rows: np.ndarray | None = None,
) -> Firing:
  """Finds the exact thresholds of all units and counts the images beyond them.

  A few units at a time are copied, one thread for each core: beside the
  features and what is returned, at most an eighth of their size (or 8 MB) is in
  memory. Of a memory map only that: pages are given back once they are read.

  Args:
    features: [N, D] float (int is taken as float64), array or memory map.
    memberships: [M, n] int, the set of each row, 0..S - 1; S: of no set. n is
      N, or the number of `rows`.
    num_sets: S.
    rank: 0..n - 1, where the thresholds stand among the n sorted values of a
      unit: upwards for the positive sign, downwards for the negative.
    rows: [n] int, the rows to use; all by default.

  Returns:
    A Firing.

  Raises:
    UsageError: NaN or infinity among the features.
  """
  num_units = features.shape[1]
  memberships = np.ascontiguousarray(memberships, np.int32)
  num_images = memberships.shape[1]
  largest = max(
    int(np.bincount(of, minlength=num_sets + 1)[:num_sets].max())
    for of in memberships
  )
  counts = np.zeros(
    [2, len(memberships), num_sets, num_units], np.min_scalar_type(largest)
  )
  dtype = np.result_type(features.dtype, np.float32)
  thresholds = np.zeros([2, num_units], dtype)
  at_or_above = np.zeros(num_units, np.int64)
  constant = np.zeros(num_units, bool)
  sample = np.random.default_rng(0).integers(num_images, size=_SAMPLE)

  def work(start: int, end: int) -> None:
    units = _units(features, rows, start, end, num_images, dtype)  # [u, n]
    lowest, highest = units.min(axis=1), units.max(axis=1)
    if not np.isfinite(lowest).all() or not np.isfinite(highest).all():
      raise errors.UsageError(_damage(features))
    constant[start:end] = lowest == highest
    for sign in (0, 1):
      beyond = np.zeros([end - start, *counts.shape[1:3]], counts.dtype)
      for unit, values in enumerate(units):
        threshold, fired, reached = _tail(values, rank, sample)
        thresholds[sign, start + unit] = threshold
        if sign == 0:
          at_or_above[start + unit] = reached
        for row, of in enumerate(memberships):
          beyond[unit, row] = np.bincount(of[fired], minlength=num_sets + 1)[
            :num_sets
          ]
      counts[sign, :, :, start:end] = np.moveaxis(beyond, 0, -1)
      # Now the smallest values are the largest: the negative sign.
      np.negative(units, out=units)

  num_threads = len(os.sched_getaffinity(0))
  num_bytes = num_images * dtype.itemsize  # of one unit
  copied = max(num_units * num_bytes * _COPIED_SHARE, _COPIED_BYTES)
  width = int(copied / num_threads / num_bytes)
  width = max(1, min(width, _MOST_UNITS))
  _in_threads(
    work,
    ((i, min(i + width, num_units)) for i in range(0, num_units, width)),
    num_threads,
  )
  return Firing(
    thresholds[0],
    -thresholds[1],
    counts[0],
    counts[1],
    at_or_above,
    constant,
  )


def _in_threads(work, spans: Iterable[tuple[int, int]], num_threads: int):
  """Calls work(start, end) for all spans; the first error ends it."""
  with futures.ThreadPoolExecutor(num_threads) as pool:
    spans = iter(spans)
    waiting = set()
    while True:
      room = num_threads - len(waiting)
      waiting |= {pool.submit(work, *s) for s in itertools.islice(spans, room)}
      if not waiting:
        return
      done, waiting = futures.wait(waiting, return_when=futures.FIRST_COMPLETED)
      for one in done:
        one.result()


def _tail(
  values: np.ndarray, rank: int, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
  """The value at a rank and what lies above it.

  Exact selection. A guess from a sample, too low on purpose, leaves few values
  above it; the one sought is selected among these.

  Args:
    values: [n].
    rank: 0..n - 1 in ascending order.
    sample: [s] int, indices into `values`.

  Returns:
    threshold [], the value at the rank; the indices [m] of all values greater
    than it; and the number of values greater or equal.
  """
  wanted = len(values) - rank  # this many are at the threshold or above
  share = rank / len(values)
  spread = _DEVIATIONS * np.sqrt(len(sample) * share * (1 - share))
  place = int(len(sample) * share - spread) - 1
  candidates = np.empty(0, np.intp)
  if place >= 0:
    guess = np.partition(values.take(sample), place)[place]
    candidates = np.flatnonzero(values > guess)
    if len(candidates) < wanted:
      reached = np.count_nonzero(values >= guess)
      if reached >= wanted:  # The guess is the value itself: many are tied.
        return guess, candidates, reached
  if len(candidates) < wanted:
    threshold = np.partition(values, rank)[rank]
    reached = np.count_nonzero(values >= threshold)
    return threshold, np.flatnonzero(values > threshold), reached
  above = values.take(candidates)  # [m]
  place = len(above) - wanted
  threshold = np.partition(above, place)[place]
  reached = np.count_nonzero(above >= threshold)
  return threshold, candidates[above > threshold], reached


def _units(
  features: np.ndarray,
  rows: np.ndarray | None,
  start: int,
  end: int,
  num_images: int,
  dtype: np.dtype,
) -> np.ndarray:
  """Copies some units, each in one piece: [n, D] -> [end - start, n]."""
  units = np.empty([end - start, num_images], dtype)
  for first in range(0, num_images, _TILE_ROWS):
    tile = slice(first, first + _TILE_ROWS)
    taken = tile if rows is None else rows[tile]
    units[:, tile] = features[taken, start:end].T
    _give_back_pages(features)
  return units


def _give_back_pages(features: np.ndarray) -> None:
  """Lets the pages of a memory map that were read leave the process."""
  if not isinstance(features, np.memmap) or features.mode == "c":
    return  # Pages of mode "c" may hold what stands nowhere else.
  owner = features
  while isinstance(owner, np.ndarray):
    owner = owner.base
  if isinstance(owner, mmap.mmap):
    owner.madvise(mmap.MADV_DONTNEED)


def _damage(features: np.ndarray) -> str:
  bad = sum(
    np.count_nonzero(~np.isfinite(features[i : i + _TILE_ROWS]).all(axis=1))
    for i in range(0, len(features), _TILE_ROWS)
  )
  return (
    f"{bad} of {len(features)} rows of features hold NaN or infinity; the "
    "encoder that made them has diverged, its weights are damaged or its "
    "images were not preprocessed as it expects"
  )
