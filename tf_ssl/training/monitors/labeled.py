"""What the frozen encoder is good for while it trains: kNN, linear probe."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation.knn import classifier
from tf_ssl.evaluation.linear import logistic
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base

_INVERSE_PENALTY = 0.1  # of the probe [ours]; scikit-learn's C
_TOLERANCE = 1e-4  # of its gradient; scikit-learn's
_ITERATIONS = 200


class LabeledMonitor(base.Monitor):
  """Accuracies on images that the encoder is not trained on.

  Both are of the same features, so that the probe costs little beside the kNN.
  Draws `knn/accuracy_k20_t0.1` (k and temperature in the name) and
  `linear_probe/accuracy`.
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    labeled: tf.data.Dataset,
    held_out: tf.data.Dataset,
    writer: tf.summary.SummaryWriter,
    *,
    k: int = 20,
    temperature: float = 0.1,
    linear_probe: bool = True,
  ):
    """Takes the two sets; they are read anew at each measurement.

    Args:
      encoder: `encoder(images, training=False)`, normalized [B, H, W, 3] ->
        [B, D].
      labeled: `types.LabeledImage` batches, 0..255: what is learned from.
      held_out: likewise: the images to classify.
      writer: of TensorBoard's events.
      k: number of neighbors, see `evaluation.knn`.
      temperature: of their votes.
      linear_probe: whether logistic regression is fitted, too. It sees whole
        images once and has a fixed penalty (C = 0.1 on features of deviation
        1): enough to follow a run, not to compare models with.
    """
    self._features = feature_extractor.FeatureExtractor(encoder)
    self._labeled = labeled
    self._held_out = held_out
    self._writer = writer
    self._k = k
    self._temperature = temperature
    self._linear_probe = linear_probe

  def measure(self, step: int) -> dict[str, float]:
    """Returns knn_accuracy and linear_accuracy (0..1), and what kNN rests on.

    Raises:
      UsageError: a set is empty or unlabeled, or k is larger than `labeled`.
    """
    try:
      train = self._features(self._labeled)
      test = self._features(self._held_out)
      accuracy = classifier.knn_accuracy(
        *train, *test, k=self._k, temperature=self._temperature
      )
    except errors.UsageError as error:
      raise errors.UsageError(
        f"the online kNN between LABELLED_IMAGES (train) and HELD_OUT_IMAGES "
        f"(test) cannot be done: {error}"
      ) from error
    tag = f"knn/accuracy_k{self._k}_t{self._temperature:g}"
    measured = {
      "knn_accuracy": accuracy,
      "knn_k": self._k,
      "knn_temperature": self._temperature,
    }
    drawn = {tag: accuracy}
    if self._linear_probe:
      measured["linear_accuracy"] = _linear_accuracy(*train, *test)
      drawn["linear_probe/accuracy"] = measured["linear_accuracy"]
    with self._writer.as_default(step=step):
      for name, value in drawn.items():
        tf.summary.scalar(name, value)
    return measured


def _linear_accuracy(train, train_labels, test, test_labels) -> float:
  """Share of test images that logistic regression names, 0..1."""
  # A test class that is not learned from is never named.
  num_classes = int(max(train_labels.max(), test_labels.max())) + 1
  [fitted] = logistic.fit(
    train,
    train_labels,
    np.arange(len(train)),
    num_classes=num_classes,
    inverse_penalties=[_INVERSE_PENALTY],
    max_iterations=_ITERATIONS,
    tolerance=_TOLERANCE,
  )
  return fitted.predict(test, test_labels).accuracy()
