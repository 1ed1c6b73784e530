"""When a unit fires, and in how many images of each set. NumPy only.

A rule says on which share of all images a unit fires; `measure` finds the exact
threshold of each unit for that share and counts the images beyond it.
"""

import math
import mmap
import os
from concurrent import futures
from typing import NamedTuple

import numpy as np

from tf_ssl import errors

VARIANTS = ("code", "formula")
# Copies of units in all threads together take at most this share of the size of
# the features, or this many bytes where the features are small.
_COPIED_SHARE, _COPIED_BYTES = 1 / 8, 2**23
_MAX_UNITS = 64  # Units in one copy.
# Rows copied at once. With 64 units that is 64 KiB, which stays in the cache.
_TILE_ROWS = 256
# Size of the sample that estimates a threshold from below, and the number of
# standard deviations of its rank by which the estimate is lowered. An estimate
# that is too high, about 1 in 30,000, costs time only.
_SAMPLE, _DEVIATIONS = 1024, 4


class Rule(NamedTuple):
  """When a unit fires.

  Attributes:
    variant: "code" or "formula", see `score.representation_invariance_score`.
    fraction: share of all images on which a unit fires.
    percent: factor from an invariance to percent of the largest invariance.
    rank: rank of the threshold among the sorted values of a unit, from 0.
  """

  variant: str
  fraction: float
  percent: float
  rank: int


class Firing(NamedTuple):
  """Thresholds of all units and counts of firing images; a score needs no more.

  A unit fires with its positive sign above `high` and with its negative sign
  below `low`, both strictly. Each of M memberships (usually one) divides the
  same images into S sets.

  Attributes:
    high: [D], dtype of the features, value at `rank` of the sorted unit.
    low: [D], dtype of the features, value at `rank` counted from the largest.
    above: [M, S, D] uint8 or larger, images of each set above `high`.
    below: [M, S, D] uint8 or larger, images of each set below `low`.
    at_or_above: [D] int64, number of all images at or above `high`.
    constant: [D] bool, whether the unit has one value in all images.
  """

  high: np.ndarray
  low: np.ndarray
  above: np.ndarray
  below: np.ndarray
  at_or_above: np.ndarray
  constant: np.ndarray


def check_rule(variant: str, fraction: float | None) -> None:
  """Raises UsageError for an unknown variant or a fraction out of range."""
  errors.require(
    variant in VARIANTS,
    f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}",
  )
  errors.require(
    fraction is None or 0 < fraction < 1,
    f"firing_fraction is {fraction}; expected a share of the images between 0 "
    "and 1, both excluded",
  )


def rule(
  variant: str, fraction: float | None, *, num_images: int, num_classes: int
) -> Rule:
  """The rule for a number of images and classes.

  Args:
    variant: "code" or "formula".
    fraction: share of images on which a unit fires, between 0 and 1; None for
      1 / C with C classes, and for "code" at least 0.05, as in the program of
      Purushwalkam & Gupta 2020.
    num_images: number of images, N.
    num_classes: number of classes, C.

  Raises:
    UsageError: there is one class and no fraction, or the fraction is less than
      one image.
  """
  check_rule(variant, fraction)
  errors.require(
    fraction is not None or num_classes > 1,
    "all images are of one class: a unit would fire on 1 / 1 of them, whatever "
    "they show; give firing_fraction, such as 0.05, or no classes, which makes "
    "each set a class",
  )
  if variant == "code":
    # In percent and in this order: the authors' arithmetic, to the last digit.
    if fraction is None:
      silent = min((1.0 - 1.0 / num_classes) * 100, 95)
    else:
      silent = (1.0 - fraction) * 100
    rank = int(num_images * silent // 100)
    percent = 100 - silent
    fraction = percent / 100 if fraction is None else fraction
  else:
    fraction = 1 / num_classes if fraction is None else fraction
    # 1e-9: N * (1 / C) may be just below a whole number.
    rank = num_images - 1 - math.floor(num_images * fraction + 1e-9)
    percent = 100 * fraction
  errors.require(
    rank < num_images - 1,
    f"no unit could fire: {fraction:g} of {num_images} images is less than one "
    "image above the threshold; give more images or a larger firing_fraction",
  )
  return Rule(variant, fraction, percent, rank)


def measure(
  features: np.ndarray,
  memberships: np.ndarray,
  num_sets: int,
  *,
  rank: int,
  rows: np.ndarray | None = None,
) -> Firing:
  """Finds the exact thresholds of all units and counts the images beyond them.

  Each thread, one per core, copies a few units at a time. Beside the features
  and the result, at most an eighth of the features (or 8 MB) is in memory. Of a
  memory map only that is: pages are released once they are read.

  Args:
    features: [N, D] float, array or memory map; int is read as float64.
    memberships: [M, n] int, set of each row, 0..S - 1, or S for none; n is N or
      the number of `rows`.
    num_sets: number of sets, S.
    rank: rank of both thresholds among the n sorted values of a unit, 0..n - 1:
      ascending for the positive sign, descending for the negative.
    rows: [n] int, rows to use; None for all.

  Raises:
    UsageError: the features contain NaN or infinity.
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
      # The negative sign: now the smallest values are the largest.
      np.negative(units, out=units)

  num_threads = len(os.sched_getaffinity(0))
  num_bytes = num_images * dtype.itemsize  # Of one unit.
  copied = max(num_units * num_bytes * _COPIED_SHARE, _COPIED_BYTES)
  width = int(copied / num_threads / num_bytes)
  width = max(1, min(width, _MAX_UNITS))
  with futures.ThreadPoolExecutor(num_threads) as pool:
    waiting = [
      pool.submit(work, start, min(start + width, num_units))
      for start in range(0, num_units, width)
    ]
    try:
      for each in futures.as_completed(waiting):
        each.result()
    finally:
      for each in waiting:
        each.cancel()  # After the first error.
  return Firing(
    thresholds[0],
    -thresholds[1],
    counts[0],
    counts[1],
    at_or_above,
    constant,
  )


def _tail(
  values: np.ndarray, rank: int, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
  """Selects the value at a rank, exactly, and the values above it.

  An estimate from a sample, too low on purpose, leaves few values above it. The
  threshold is selected among these.

  Args:
    values: [n] float, values of one unit.
    rank: rank in ascending order, 0..n - 1.
    sample: [s] int, indices into `values`.

  Returns:
    The value at the rank; [m] int, indices of all larger values; and the number
    of values that are as large or larger.
  """
  wanted = len(values) - rank  # Number of values at the threshold or above.
  share = rank / len(values)
  spread = _DEVIATIONS * np.sqrt(len(sample) * share * (1 - share))
  place = int(len(sample) * share - spread) - 1
  candidates = np.empty(0, np.intp)
  if place >= 0:
    estimate = np.partition(values.take(sample), place)[place]
    candidates = np.flatnonzero(values > estimate)
    if len(candidates) < wanted:
      reached = np.count_nonzero(values >= estimate)
      if reached >= wanted:  # Ties: the estimate is the value.
        return estimate, candidates, reached
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
  """Copies units into rows: [n, D] -> [end - start, n]."""
  units = np.empty([end - start, num_images], dtype)
  for first in range(0, num_images, _TILE_ROWS):
    tile = slice(first, first + _TILE_ROWS)
    taken = tile if rows is None else rows[tile]
    units[:, tile] = features[taken, start:end].T
    _release_pages(features)
  return units


def _release_pages(features: np.ndarray) -> None:
  """Drops the pages of a memory map that were read from this process."""
  if not isinstance(features, np.memmap) or features.mode == "c":
    return  # Pages of mode "c" may hold changes that are nowhere else.
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
    f"{bad} of {len(features)} rows of features contain NaN or infinity: the "
    "encoder has diverged, its weights are damaged, or its images were not "
    "preprocessed as it expects"
  )
