"""Multinomial logistic regression on features, by SciPy's L-BFGS.

The loss is summed over chunks of features, on the accelerator if there is one,
so that features may be memory maps of any length. The minimum is that of
scikit-learn's LogisticRegression on standardized features.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy import optimize

from tf_ssl.evaluation import predictions

_CHUNK = 2**23  # Features or scores in memory at once: 32 MiB.
_RESIDENT = 2**27  # Features up to which they stay in memory: 512 MiB.
_MEMORY = 10  # L-BFGS corrections, as in scikit-learn.


class Scaling(NamedTuple):
  """Standardization of features to mean 0 and standard deviation 1.

  Attributes:
    mean: [D] float32, mean of each unit.
    inverse: [D] float32, inverse standard deviation; 0 for a constant unit.
  """

  mean: np.ndarray
  inverse: np.ndarray

  def apply(self, features: np.ndarray) -> np.ndarray:
    """Standardizes features, [B, D] -> [B, D] float32."""
    return (features - self.mean) * self.inverse


class Classifier(NamedTuple):
  """A fitted classifier of C classes.

  Attributes:
    scaling: standardization of the features.
    weights: [D + 1, C] float64 for standardized features; the last row holds
      the biases.
    inverse_penalty: inverse penalty of the fit, scikit-learn's C.
    iterations: number of L-BFGS iterations.
    gradient: largest component of the gradient at the end.
    has_converged: whether `gradient` is at most the tolerance, or no lower loss
      was found in float32.
  """

  scaling: Scaling
  weights: np.ndarray
  inverse_penalty: float
  iterations: int
  gradient: float
  has_converged: bool

  def predict(
    self, features: np.ndarray, labels: np.ndarray
  ) -> predictions.Predictions:
    """Ranks the classes of M images.

    Args:
      features: [M, D] float features.
      labels: [M] int, true classes, 0..C-1.
    """
    weights = tf.constant(self.weights, tf.float32)
    step = max(1, _CHUNK // max(self.weights.shape))
    found = []
    for start in range(0, len(labels), step):
      rows = slice(start, start + step)
      scaled = tf.constant(_with_ones(self.scaling.apply(features[rows])))
      found.append(
        predictions.from_scores((scaled @ weights).numpy(), labels[rows])
      )
    return predictions.Predictions(
      *map(np.concatenate, zip(*found, strict=True))
    )


def scaling(features: np.ndarray, index: np.ndarray) -> Scaling:
  """Measures mean and standard deviation of each unit, in float64.

  Args:
    features: [N, D] float features, an array or a memory map.
    index: [n] int, rows to measure.
  """
  total = np.zeros(features.shape[1])
  for rows in _rows(features, index):
    total += rows.sum(axis=0, dtype=np.float64)
  mean = total / len(index)
  squares = np.zeros_like(mean)
  for rows in _rows(features, index):
    squares += np.square(rows - mean).sum(axis=0)
  deviation = np.sqrt(squares / len(index))
  # A constant unit differs from its mean by rounding errors.
  varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-30)
  inverse = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
  return Scaling(mean.astype(np.float32), inverse.astype(np.float32))


def fit(
  features: np.ndarray,
  labels: np.ndarray,
  index: np.ndarray,
  *,
  num_classes: int,
  inverse_penalties: Sequence[float],
  max_iterations: int = 500,
  tolerance: float = 1e-5,
) -> Iterator[Classifier]:
  """Fits classifiers, from the strongest penalty to the weakest.

  Each minimizes mean cross-entropy + |W|^2 / (2 c n) on standardized features,
  without a penalty on biases. c is the inverse penalty (scikit-learn's C; for
  two classes half of it, since scikit-learn has one column of weights and this
  has two), n the number of images. Each starts from the previous solution.

  Args:
    features: [N, D] float features, an array or a memory map.
    labels: [N] int, class ids, 0..C-1.
    index: [n] int, rows of the images to fit on.
    num_classes: number of classes C.
    inverse_penalties: inverse penalties > 0.
    max_iterations: largest number of L-BFGS iterations of each fit.
    tolerance: largest component of the gradient at which a fit stops.

  Yields:
    A `Classifier` for each inverse penalty, in ascending order.
  """
  scaled = scaling(features, index)
  chunks = _Chunks(features, labels, index, scaled)
  weights = np.zeros([features.shape[1] + 1, num_classes])
  for inverse_penalty in sorted(inverse_penalties):
    decay = np.full(weights.shape, 1 / (inverse_penalty * len(index)))
    decay[-1] = 0.0  # Biases are not penalized.

    def loss(flat: np.ndarray, decay=decay) -> tuple[float, np.ndarray]:
      found = flat.reshape(decay.shape)
      value, gradient = chunks.loss(found)
      value += 0.5 * float(np.sum(decay * found * found))
      return value, (gradient + decay * found).ravel()

    solved = optimize.minimize(
      loss,
      weights.ravel(),
      jac=True,
      method="L-BFGS-B",
      options={
        "maxiter": max_iterations,
        "maxfun": 2 * max_iterations,
        "maxcor": _MEMORY,
        "gtol": tolerance,
        "ftol": 64 * np.finfo(np.float64).eps,  # As scikit-learn.
      },
    )
    weights = solved.x.reshape(decay.shape)
    yield Classifier(
      scaled,
      weights.copy(),
      inverse_penalty,
      int(solved.nit),
      float(np.abs(solved.jac).max()),
      # 2: no step lowers the loss within float32's 7 digits.
      solved.status in (0, 2),
    )


class _Chunks:
  """Standardized features in chunks, kept in memory if they are few."""

  def __init__(self, features, labels, index, scaled):
    self._features, self._labels = features, labels
    self._index, self._scaling = index, scaled
    self._kept = None
    if len(index) * features.shape[1] <= _RESIDENT:
      self._kept = list(self._read())

  def loss(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy and its gradient [D + 1, C], in float64."""
    total, gradient = 0.0, np.zeros(weights.shape)
    given = tf.constant(weights, tf.float32)
    for features, labels in self._kept or self._read():
      value, part = _cross_entropy(given, features, labels)
      total += float(value)
      gradient += part.numpy()
    return total / len(self._index), gradient / len(self._index)

  def _read(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    start = 0
    for rows in _rows(self._features, self._index):
      labels = self._labels[self._index[start : start + len(rows)]]
      start += len(rows)
      yield (
        tf.constant(_with_ones(self._scaling.apply(rows))),
        tf.constant(labels, tf.int64),
      )


@tf.function(
  input_signature=[
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None], tf.int64),
  ],
  autograph=False,
)
def _cross_entropy(weights, features, labels):
  """Summed cross-entropy [] float64, and its gradient [D + 1, C]."""
  scores = features @ weights  # [b, C]
  log_shares = tf.nn.log_softmax(scores)
  truth = tf.one_hot(labels, tf.shape(weights)[1])
  log_likelihood = tf.gather(log_shares, labels, axis=1, batch_dims=1)  # [b]
  gradient = tf.matmul(features, tf.exp(log_shares) - truth, transpose_a=True)
  return -tf.reduce_sum(tf.cast(log_likelihood, tf.float64)), gradient


def _rows(features: np.ndarray, index: np.ndarray) -> Iterator[np.ndarray]:
  """Yields the rows of `index` in chunks."""
  step = max(1, _CHUNK // features.shape[1])
  for start in range(0, len(index), step):
    yield np.asarray(features[index[start : start + step]])


def _with_ones(features: np.ndarray) -> np.ndarray:
  """[B, D] -> [B, D + 1] float32, the last column 1 for the biases."""
  return np.pad(
    features.astype(np.float32), [(0, 0), (0, 1)], constant_values=1.0
  )
