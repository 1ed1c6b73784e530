"""Linear classifiers of one width, trained side by side, a learning rate each.

They see the same batches and start from the same weights, so that each becomes
what it would become alone. What is dear, the features, is computed once.
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation import predictions as guesses
from tf_ssl.ops import workdir

_DEVIATION = 0.01  # of the weights at the start (METHODS 2)
_SGD_MOMENTUM = 0.9
_SCORES = 2**24  # held at once: 64 MiB


class LinearGrid:
  """G classifiers of C classes on features of width D, as one matrix.

  SGD with momentum, no weight decay, softmax cross-entropy; weights start from
  N(0, 0.01), biases from 0 (METHODS 2, the linear protocol of MoCo's code).

  Attributes:
    learning_rates: G of them.
    step: steps done.
  """

  def __init__(
    self,
    width: int,
    num_classes: int,
    learning_rates: Sequence[float],
    *,
    seed: int,
  ):
    """Draws the weights.

    Args:
      width: D.
      num_classes: C.
      learning_rates: > 0 each.
      seed: of the weights.
    """
    self.learning_rates = tuple(learning_rates)
    self.step = 0
    self._classes = num_classes
    count = len(self.learning_rates)
    drawn = np.random.default_rng(seed).normal(
      0.0, _DEVIATION, [width, num_classes]
    )
    # Biases are one more row: [D + 1, G * C].
    start = np.concatenate([drawn, np.zeros([1, num_classes])])
    self._weights = tf.Variable(np.tile(start, [1, count]).astype(np.float32))
    self._velocity = tf.Variable(tf.zeros_like(self._weights))
    self._rates = tf.constant(
      np.repeat(np.float32(self.learning_rates), num_classes)
    )
    self._train = tf.function(
      self._one_step,
      input_signature=[
        tf.TensorSpec([None, width], tf.float32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([], tf.float32),
      ],
      autograph=False,
    )

  def train(
    self, features: np.ndarray, labels: np.ndarray, factor: float
  ) -> np.ndarray:
    """One step of all classifiers.

    Args:
      features: [B, D] float32.
      labels: [B] int, 0..C-1.
      factor: what the learning rates are multiplied by.

    Returns:
      Their losses, [G] float32; NaN of those that have diverged.
    """
    losses = self._train(
      features, tf.cast(labels, tf.int64), np.float32(factor)
    )
    self.step += 1
    return losses.numpy()

  def _one_step(self, features, labels, factor) -> tf.Tensor:
    features = _with_ones(features)
    logits = tf.reshape(  # [B, G, C]
      features @ self._weights,
      [-1, len(self.learning_rates), self._classes],
    )
    truth = tf.one_hot(labels, self._classes)[:, tf.newaxis]  # [B, 1, C]
    losses = -tf.reduce_sum(truth * tf.nn.log_softmax(logits), axis=2)
    # The gradient of the mean loss, of each classifier by itself.
    count = tf.cast(tf.size(labels), tf.float32)
    error = (tf.nn.softmax(logits) - truth) / count
    error = tf.reshape(error, [-1, self._rates.shape[0]])  # [B, G * C]
    gradient = tf.matmul(features, error, transpose_a=True)
    # As PyTorch has it: the rate multiplies the velocity when it is applied.
    self._velocity.assign(_SGD_MOMENTUM * self._velocity + gradient)
    self._weights.assign_sub(factor * self._rates * self._velocity)
    return tf.reduce_mean(losses, axis=0)

  def has_diverged(self) -> list[bool]:
    """Whether the weights of each are no longer finite."""
    weights = self._by_classifier()
    return [not np.isfinite(each).all() for each in weights]

  def guesses(
    self, features: np.ndarray, labels: np.ndarray, number: int
  ) -> guesses.Guesses:
    """What one classifier says.

    Args:
      features: [M, D], an array or a memory map.
      labels: [M] int.
      number: which of the G; one that has not diverged.
    """
    weights = self._by_classifier()[number]  # [D + 1, C]
    step = max(1, _SCORES // weights.shape[1])
    found = []
    for start in range(0, len(labels), step):
      rows = slice(start, start + step)
      scores = _with_ones(tf.constant(features[rows])) @ weights
      found.append(guesses.from_scores(scores.numpy(), labels[rows]))
    return guesses.Guesses(*map(np.concatenate, zip(*found, strict=True)))

  def _by_classifier(self) -> np.ndarray:
    """[G, D + 1, C]."""
    shape = [-1, len(self.learning_rates), self._classes]
    return self._weights.numpy().reshape(shape).transpose(1, 0, 2)

  def save(self, path: str) -> None:
    """Writes all that training goes on from; .npz."""
    with (
      workdir.replacing_file(path) as temporary,
      open(temporary, "wb") as file,
    ):
      np.savez(
        file,
        weights=self._weights.numpy(),
        velocity=self._velocity.numpy(),
        step=self.step,
      )

  def restore(self, path: str) -> None:
    """Reads what `save` wrote.

    Raises:
      UsageError: the file is damaged, or of another grid.
    """
    try:
      with np.load(path, allow_pickle=False) as found:
        self._weights.assign(found["weights"])
        self._velocity.assign(found["velocity"])
        self.step = int(found["step"])
    except Exception as error:  # of zipfile, NumPy, TensorFlow
      reason = " ".join(str(error).split())[:200]
      raise errors.UsageError(
        f"{path} cannot be gone on from ({reason}); delete it to train anew"
      ) from error


def num_steps(epochs: float, num_images: int, batch_size: int) -> int:
  """Steps that show every image `epochs` times."""
  return max(1, math.ceil(epochs * num_images / batch_size))


def _with_ones(features: tf.Tensor) -> tf.Tensor:
  """[B, D] -> [B, D + 1], for the biases."""
  return tf.pad(features, [[0, 0], [0, 1]], constant_values=1.0)
