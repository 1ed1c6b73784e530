"""A linear classifier on an encoder, trained with it or alone."""

import numpy as np
import tensorflow as tf

from tf_ssl.models import trainable

_DEVIATION = 0.01  # Of the initial weights, as in MoCo's protocol (METHODS 2).


class Classifier:
  """Maps images to a score for each class.

  Attributes:
    head_variables: weights [D, C] and biases [C].
    trainable_head_variables: both of them.
  """

  def __init__(
    self,
    encoder: trainable.TrainableEncoder,
    *,
    num_classes: int,
    frozen: bool,
  ):
    """Builds the head with zero weights; `draw_head` sets random ones.

    Args:
      encoder: encoder that gives the features.
      num_classes: C.
      frozen: whether the encoder runs in inference mode during training, too.
    """
    self._encoder, self._frozen = encoder, frozen
    width = encoder.description.width
    self._weights = tf.Variable(tf.zeros([width, num_classes]))
    self._biases = tf.Variable(tf.zeros([num_classes]))
    self.head_variables = [self._weights, self._biases]
    self.trainable_head_variables = self.head_variables
    self._infer = tf.function(
      lambda images: self._logits(images, False),
      input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )

  def draw_head(self, seed: int) -> None:
    """Sets the head to random initial weights."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0.0, _DEVIATION, self._weights.shape)
    self._weights.assign(drawn.astype(np.float32))
    self._biases.assign(tf.zeros_like(self._biases))

  def loss(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean softmax cross-entropy of a training batch, [] float32.

    Args:
      images: [B, H, W, 3] uint8.
      labels: [B] int32.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels, self._logits(images, not self._frozen)
    )
    return tf.reduce_mean(losses)

  def scores(self, images: tf.Tensor) -> np.ndarray:
    """[B, H, W, 3] uint8 -> [B, C] float32, in inference mode."""
    return self._infer(images).numpy()

  def _logits(self, images, training) -> tf.Tensor:
    features = self._encoder.features(tf.cast(images, tf.float32), training)
    return features @ self._weights + self._biases


def hits(scores: np.ndarray, labels: np.ndarray, k: int) -> int:
  """Counts the labels that are among the k largest scores.

  Args:
    scores: [B, C] float; of equal scores the first counts as larger.
    labels: [B] int, 0 to C - 1.
    k: number of largest scores, at least 1.
  """
  best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
  return int((best == labels[:, None]).any(axis=1).sum())
