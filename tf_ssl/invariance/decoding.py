"""Is the factor lost or kept? It is decoded from the features by a linear map.

A low invariance score does not say that a representation ignores the factor,
nor a high one that all of it does: the best units may be invariant while others
carry the factor. Ridge regression predicts the factor from the standardized
features; objects of the test folds were never seen, and the cost is chosen on
folds inside the training folds. The same regression on values that are permuted
within sets shows what can be predicted without seeing the factor.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from sklearn import decomposition

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.ops import threads

# Features of more units are reduced to their first principal components.
MAX_COMPONENTS = 256
MAX_IMAGES = 4000  # Of larger data, random sets are used.
FOLDS = 5
_LEAST_SETS = 3
# Costs of the squared weights, times the number of images in training.
COSTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_PERMUTATIONS = 5


class Decoded(NamedTuple):
  """How well the factor can be predicted from the features of unseen objects.

  Attributes:
    r2: share of the factor's variance that is predicted, pooled over its
      coordinates: at most 1, negative if the mean were the better prediction.
    low: lower end of its bootstrap interval over sets.
    high: upper end of its interval.
    permuted: share for values permuted within sets, mean of 5 permutations.
    num_sets: number of sets.
  """

  r2: float
  low: float
  high: float
  permuted: float
  num_sets: int


def targets(data: invariance_sets.InvarianceSets) -> np.ndarray | None:
  """Coordinates of the factor: [N, T]; None if it has no values.

  They are those that the sets define, such as the direction of a light.
  Otherwise an angle in degrees becomes its sine and cosine, and other values
  stay as they are. NaN where a value is unknown.
  """
  if data.targets is not None:
    return data.targets
  if np.isnan(data.factor).all():
    return None
  if data.factor_unit == "degrees":
    angle = np.radians(data.factor)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)
  return data.factor[:, np.newaxis]


def decode(
  features: np.ndarray,
  values: np.ndarray,
  sets: np.ndarray,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> Decoded | None:
  """Predicts the coordinates of the factor by cross-validated ridge regression.

  Features of more than `MAX_COMPONENTS` units are reduced to their first
  principal components, and of more than `MAX_IMAGES` images, random sets are
  used.

  Args:
    features: [N, D] float, finite, array or memory map.
    values: [N, T] float, coordinates of the factor; images with NaN are
      excluded.
    sets: [N], number of each image's set, an object that no other set shows.
    resamples: number of resamples of the interval, at least 2.
    confidence: confidence level of the interval, between 0 and 1.
    seed: seed of sample, folds, permutations and resamples.

  Returns:
    The shares; None with fewer than 3 sets, or if the factor or the features
    do not vary.

  Raises:
    UsageError: lengths differ, or resamples or confidence are out of range.
  """
  tails = intervals_lib.tails(resamples, confidence)
  errors.require(
    len(features) == len(values) == len(sets) and values.ndim == 2,
    f"features, values and sets have shapes {features.shape}, {values.shape} "
    f"and {np.shape(sets)}; expected [N, D], [N, T] and [N]",
  )
  rng = np.random.default_rng(seed)
  rows, of_set = _sample(values, np.asarray(sets), rng)
  num_sets = 1 + int(of_set.max(initial=-1))
  if num_sets < _LEAST_SETS:
    return None
  values = values[rows] - values[rows].mean(axis=0)
  with threads.one_for_blas():
    inputs = _standardized(features[rows], seed)
  if not values.any() or not inputs.any():
    return None
  orders = [np.arange(len(rows))]
  orders += [_within_sets(of_set, rng) for _ in range(_PERMUTATIONS)]
  wanted = np.stack([values[order] for order in orders], axis=1)  # [n, p, T]
  folds = rng.permutation(num_sets)[of_set] % min(FOLDS, num_sets)
  with threads.one_for_blas():
    residuals = wanted - _predictions(inputs, wanted, folds)
  wrong = np.square(residuals).sum(axis=2)  # [n, p]
  total = np.square(values).sum(axis=1)
  of_sets = np.stack(
    [
      np.bincount(of_set, wrong[:, 0], num_sets),
      np.bincount(of_set, total, num_sets),
    ]
  )
  drawn = (
    of_sets
    @ rng.multinomial(
      num_sets, np.full(num_sets, 1 / num_sets), size=resamples
    ).T
  )
  shares = 1 - drawn[0] / np.maximum(drawn[1], 1e-30)
  r2 = 1 - wrong.sum(axis=0) / total.sum()
  low, high = np.quantile(shares, tails)
  return Decoded(
    float(r2[0]), float(low), float(high), float(r2[1:].mean()), num_sets
  )


def _sample(
  values: np.ndarray, sets: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Images with known values, [n] int, and their sets, [n] int from 0."""
  rows = np.flatnonzero(np.isfinite(values).all(axis=1))
  names, of_set = np.unique(sets[rows], return_inverse=True)
  share = MAX_IMAGES / max(1, len(rows))
  chosen = rng.permutation(len(names))[
    : max(_LEAST_SETS, int(len(names) * share))
  ]
  kept = np.isin(of_set, chosen)
  _, of_set = np.unique(of_set[kept], return_inverse=True)
  return rows[kept], of_set


def _standardized(features: np.ndarray, seed: int) -> np.ndarray:
  """Standardized units without constant ones: [n, D] -> [n, P] float64."""
  varies = features.max(axis=0) > features.min(axis=0)
  units = features[:, varies].astype(np.float32)
  units -= units.mean(axis=0)
  units /= np.maximum(units.std(axis=0), 1e-20)
  components = min(MAX_COMPONENTS, len(units) - 1)
  if units.shape[1] > components:
    few = len(units) <= MAX_COMPONENTS  # All components: nothing is lost.
    units = decomposition.PCA(
      components,
      svd_solver="full" if few else "randomized",
      iterated_power=2,
      random_state=seed,
    ).fit_transform(units)
  return units.astype(np.float64)


def _within_sets(of_set: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """[n] int: an order of the images that moves them within their sets only."""
  order = np.empty(len(of_set), np.int64)
  order[np.argsort(of_set, kind="stable")] = np.lexsort(
    [rng.random(len(of_set)), of_set]
  )
  return order


def _predictions(
  inputs: np.ndarray, wanted: np.ndarray, folds: np.ndarray
) -> np.ndarray:
  """Predictions for each fold from the others, the cost chosen among these.

  Args:
    inputs: [n, P] float64.
    wanted: [n, p, T] float64, p regressions of T coordinates.
    folds: [n] int, fold of each image.

  Returns:
    [n, p, T] float64.
  """
  num_folds = 1 + int(folds.max())
  members = [np.flatnonzero(folds == f) for f in range(num_folds)]
  shape = wanted.shape[1:]
  flat = wanted.reshape([len(wanted), -1])
  sums = [_sums(inputs[rows], flat[rows]) for rows in members]

  def predict(test: int, maps: np.ndarray) -> np.ndarray:
    """[C, n, p, T] from maps [C, 1 + P, p * T]."""
    rows = inputs[members[test]]
    return (maps[:, :1] + rows @ maps[:, 1:]).reshape([-1, len(rows), *shape])

  wrong = np.zeros([num_folds, len(COSTS), shape[0]])
  for one in range(num_folds):
    for other in range(one):
      # Trained without both: each is an inner test fold of the other.
      maps = _ridge([s for f, s in enumerate(sums) if f not in (one, other)])
      for test, outer in ((one, other), (other, one)):
        error = wanted[members[test]] - predict(test, maps)
        wrong[outer] += np.square(error).sum(axis=(1, 3))
  best = wrong.argmin(axis=1)  # [folds, p]
  found = np.empty_like(wanted)
  for test in range(num_folds):
    maps = _ridge([s for f, s in enumerate(sums) if f != test])
    every = predict(test, maps)
    for which, cost in enumerate(best[test]):
      found[members[test], which] = every[cost, :, which]
  return found


class _Sums(NamedTuple):
  """All that a ridge regression needs of some images.

  Attributes:
    count: number of images.
    inputs: [P], sums of inputs.
    wanted: [q], sums of outputs.
    squares: [P, P], sums of products of inputs.
    products: [P, q], sums of products of inputs and outputs.
  """

  count: int
  inputs: np.ndarray
  wanted: np.ndarray
  squares: np.ndarray
  products: np.ndarray


def _sums(inputs: np.ndarray, wanted: np.ndarray) -> _Sums:
  return _Sums(
    len(inputs),
    inputs.sum(axis=0),
    wanted.sum(axis=0),
    inputs.T @ inputs,
    inputs.T @ wanted,
  )


def _ridge(sums: list[_Sums]) -> np.ndarray:
  """[costs, 1 + P, q]: intercepts and weights for each cost."""
  count, inputs, wanted, squares, products = map(sum, zip(*sums, strict=True))
  center, level = inputs / count, wanted / count
  squares = squares - count * np.outer(center, center)
  products = products - count * np.outer(center, level)
  diagonal = squares.diagonal().copy()
  maps = np.empty([len(COSTS), 1 + len(center), len(level)])
  for cost, of_cost in zip(COSTS, maps, strict=True):
    np.fill_diagonal(squares, diagonal + cost * count)
    factor = linalg.cho_factor(squares, check_finite=False)
    of_cost[1:] = linalg.cho_solve(factor, products, check_finite=False)
    of_cost[0] = level - center @ of_cost[1:]
  return maps
