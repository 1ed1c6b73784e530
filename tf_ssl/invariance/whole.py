"""Invariance of the whole representation, beside that of its best units. NumPy.

Two questions about all units together. How much of their variance lies between
sets: the intraclass correlation of a one-way random-effects model with the sets
as groups, 1 if nothing changes within a set and 0 if sets are random. And is
the nearest image one of the same set: re-identification. Units are standardized
to mean 0 and variance 1 first.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_ssl.invariance import image_sets
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.ops import threads

# Values of the features; of larger data, whole sets are sampled.
_MAX_VALUES = 2**25
# Multiplications of the comparison of images; more images are sampled.
_MAX_PRODUCTS = 1e9
_LEAST_QUERIES = 300
_VALUES_AT_ONCE = 2**20  # 4 MiB of float32.


class Whole(NamedTuple):
  """Invariance of all units of a model together.

  Attributes:
    correlation: 0..1, intraclass correlation pooled over units: variances are
      added over units first.
    correlation_low: lower end of its bootstrap interval over sets.
    correlation_high: upper end of its interval.
    median_correlation: median over units of the correlation of each unit;
      constant units are excluded.
    reidentified: percent of the images whose nearest neighbor (cosine) among
      all others is of the same set, with its bootstrap interval over sets.
    chance: percent, the same for neighbors at random.
    num_images: number of images compared, those of random sets if there are
      more than 2**25 values of features.
    num_queries: number of these whose neighbors were sought, drawn at random.
  """

  correlation: float
  correlation_low: float
  correlation_high: float
  median_correlation: float
  reidentified: intervals_lib.Interval
  chance: float
  num_images: int
  num_queries: int


def whole(
  features: np.ndarray,
  groups: image_sets.ImageSets,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> Whole | None:
  """Computes intraclass correlation and re-identification.

  Args:
    features: [N, D] float, finite, array or memory map.
    groups: sets of the images; those of skipped sets are excluded.
    resamples: number of resamples of the intervals, at least 2.
    confidence: confidence level of the intervals, between 0 and 1.
    seed: seed of queries and resamples.

  Returns:
    The values; None for a single set, or if no unit varies.

  Raises:
    UsageError: resamples or confidence are out of range.
  """
  tails = intervals_lib.tails(resamples, confidence)
  if len(groups.ids) < 2:
    return None
  rng = np.random.default_rng(seed)
  images = _Images(features, groups, rng)
  sizes, num_images = images.sizes, len(images.rows)
  num_sets = len(sizes)
  shift, mean, between, within = _moments(images)
  varies = between + within > 0
  if not varies.any():
    return None
  by_unit = _correlation(
    between[varies], within[varies], num_sets, num_images, (sizes**2).sum()
  )
  scale = np.zeros_like(mean)
  scale[varies] = np.sqrt(num_images / (between + within)[varies])

  wanted = int(_MAX_PRODUCTS / (num_images * len(mean)))
  wanted = min(num_images, max(_LEAST_QUERIES, wanted))
  queries = np.sort(rng.permutation(num_images)[:wanted])
  center, scale = (shift + mean).astype(np.float32), scale.astype(np.float32)
  with threads.one_for_blas():
    neighbors, of_sets = _second_pass(images, queries, center, scale)
  set_of = images.sets[queries]
  hits = images.sets[neighbors] == set_of
  counts = np.stack(
    [
      *of_sets,
      sizes,
      sizes**2,
      np.bincount(set_of, hits, num_sets),
      np.bincount(set_of, minlength=num_sets),
    ]
  )  # [6, S]
  weights = rng.multinomial(
    num_sets, np.full(num_sets, 1 / num_sets), size=resamples
  )
  correlation, share = _of_counts(counts.sum(axis=1), num_sets)
  drawn, shares = _of_counts(counts @ weights.T, num_sets)
  low, high = np.quantile(drawn, tails)
  return Whole(
    correlation=float(correlation),
    correlation_low=float(low),
    correlation_high=float(high),
    median_correlation=float(np.median(by_unit)),
    reidentified=intervals_lib.Interval(
      float(share), *map(float, np.quantile(shares, tails)), 0.0
    ),
    chance=100 * float((sizes[set_of] - 1).mean() / (num_images - 1)),
    num_images=num_images,
    num_queries=wanted,
  )


class _Images:
  """Features of the images of all sets, set by set, in chunks."""

  def __init__(
    self,
    features: np.ndarray,
    groups: image_sets.ImageSets,
    rng: np.random.Generator,
  ):
    num_sets = len(groups.ids)
    share = _MAX_VALUES / (groups.sizes.sum() * features.shape[1])
    chosen = np.sort(rng.permutation(num_sets)[: max(2, int(num_sets * share))])
    order = np.argsort(groups.membership, kind="stable")
    self.features = features
    self.rows = order[np.isin(groups.membership[order], chosen)]
    self.sets = np.searchsorted(chosen, groups.membership[self.rows])
    self.sizes = groups.sizes[chosen]

  def chunks(
    self, center: np.ndarray
  ) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields places, features - center [n, D], and their sets and starts."""
    step = max(1, _VALUES_AT_ONCE // self.features.shape[1])
    for start in range(0, len(self.rows), step):
      place = slice(start, min(start + step, len(self.rows)))
      sets, starts = np.unique(self.sets[place], return_index=True)
      values = self.features[self.rows[place]].astype(np.float32, copy=False)
      yield place, values - center, sets, starts


def _moments(
  images: _Images,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """Center [D], mean from the center [D], sums of squares between and within.

  The center is the first image: differences to it are small numbers, and
  exactly 0 in constant units.
  """
  center = images.features[images.rows[0]].astype(np.float32)
  sums = np.zeros([len(images.sizes), len(center)])
  squares = np.zeros(len(center))
  for _, values, sets, starts in images.chunks(center):
    sums[sets] += np.add.reduceat(values, starts, axis=0)
    squares += np.einsum("nd,nd->d", values, values)
  sizes = images.sizes
  mean = sums.sum(axis=0) / sizes.sum()
  between = sizes @ (sums / sizes[:, np.newaxis] - mean) ** 2
  total = np.maximum(squares - sizes.sum() * mean**2, 0)
  return center, mean, between, np.maximum(total - between, 0)


def _second_pass(
  images: _Images, queries: np.ndarray, center: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Nearest neighbors of the queries; sums of squares between and within sets.

  Args:
    images: images, n in all.
    queries: [q] int, places of the queries, ascending.
    center: [D] float32, mean of each unit.
    scale: [D] float32, 1 / standard deviation of each unit; 0 if constant.

  Returns:
    [q] int, place of the nearest other image; [2, S] float64, squares of the
    standardized units, summed over units and the images of each set.
  """
  sums = np.zeros([len(images.sizes), len(center)])
  squares = np.zeros(len(images.sizes))
  asked = (images.features[images.rows[queries]] - center) * scale
  asked = _unit_length(asked.astype(np.float32, copy=False))
  nearest = np.full(len(queries), -np.inf, np.float32)
  neighbors = np.zeros(len(queries), np.int64)
  for place, values, sets, starts in images.chunks(center):
    values *= scale
    sums[sets] += np.add.reduceat(values, starts, axis=0)
    norms = np.einsum("nd,nd->n", values, values)
    squares[sets] += np.add.reduceat(norms, starts)
    cosines = asked @ _unit_length(values).T
    first, last = np.searchsorted(queries, [place.start, place.stop])
    own = np.arange(first, last)
    cosines[own, queries[own] - place.start] = -np.inf
    best = cosines.argmax(axis=1)
    cosine = np.take_along_axis(cosines, best[:, np.newaxis], axis=1)[:, 0]
    closer = cosine > nearest
    nearest[closer] = cosine[closer]
    neighbors[closer] = best[closer] + place.start
  between = (sums**2).sum(axis=1) / images.sizes
  return neighbors, np.stack([between, np.maximum(squares - between, 0)])


def _unit_length(rows: np.ndarray) -> np.ndarray:
  norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
  return rows / np.maximum(norms, 1e-20)[:, np.newaxis]


def _of_counts(
  counts: np.ndarray, num_sets: int
) -> tuple[np.ndarray, np.ndarray]:
  """Pooled correlation and percent re-identified from sums [6, ...]."""
  between, within, images, squared_sizes, hits, asked = counts
  correlation = _correlation(between, within, num_sets, images, squared_sizes)
  return correlation, 100 * hits / np.maximum(asked, 1)


def _correlation(
  between: np.ndarray,
  within: np.ndarray,
  num_sets: int,
  images: np.ndarray,
  squared_sizes: np.ndarray,
) -> np.ndarray:
  """Intraclass correlation from sums of squares, one-way random effects.

  Args:
    between: sums of squares between sets.
    within: sums of squares within sets.
    num_sets: number of sets, J.
    images: number of images, N.
    squared_sizes: sum over sets of the squared number of images.
  """
  size = (images - squared_sizes / images) / (num_sets - 1)
  error = within / (images - num_sets)
  effect = np.maximum(between / (num_sets - 1) - error, 0) / size
  return effect / np.maximum(effect + error, 1e-30)
