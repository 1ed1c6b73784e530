"""What is measured between steps: the interface, and the online kNN.

The other monitors are in `monitors_representation`, `monitors_views`,
`monitors_projector` and `monitors_invariance`.
"""

import abc
from collections.abc import Callable

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation import features, knn


class Monitor(abc.ABC):
  """Looks at a run from outside, at the steps it is asked to.

  A monitor keeps nothing from one measurement to the next, so that a resumed
  run measures what an uninterrupted one does, and changes no weight.

  Attributes:
    every: steps between two measurements; None for the run's `monitor_every`.
  """

  every: int | None = None

  @abc.abstractmethod
  def measure(self, step: int) -> dict[str, float]:
    """Measures the model as it is now.

    Args:
      step: optimizer steps done; the x axis of what is drawn.

    Returns:
      Numbers by name, for the run's log. What is no number (pictures,
      histograms) the monitor writes to TensorBoard by itself.
    """


class OnlineKnn(Monitor):
  """kNN accuracy of the frozen encoder on images that it is not trained on.

  Draws `knn/accuracy_k20_t0.1` (k and temperature in the name).
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    labelled: tf.data.Dataset,
    held_out: tf.data.Dataset,
    writer: tf.summary.SummaryWriter,
    *,
    k: int = 20,
    temperature: float = 0.1,
  ):
    """Takes the two sets; they are read anew at each measurement.

    Args:
      encoder: `encoder(images, training=False)`, normalised [B, H, W, 3] ->
        [B, D].
      labelled: `types.LabelledImage` batches, 0..255: the neighbours.
      held_out: likewise: the images to classify.
      writer: of TensorBoard's events.
      k: number of neighbours, see `evaluation.knn`.
      temperature: of their votes.
    """
    self._features = features.FeatureExtractor(encoder)
    self._labelled = labelled
    self._held_out = held_out
    self._writer = writer
    self._k = k
    self._temperature = temperature

  def measure(self, step: int) -> dict[str, float]:
    """Returns knn_accuracy (0..1), knn_k and knn_temperature.

    Raises:
      UsageError: a set is empty or unlabelled, or k is larger than `labelled`.
    """
    try:
      accuracy = knn.knn_accuracy(
        *self._features(self._labelled),
        *self._features(self._held_out),
        k=self._k,
        temperature=self._temperature,
      )
    except errors.UsageError as error:
      raise errors.UsageError(
        f"the online kNN between LABELLED_IMAGES (train) and HELD_OUT_IMAGES "
        f"(test) cannot be done: {error}"
      ) from error
    tag = f"knn/accuracy_k{self._k}_t{self._temperature:g}"
    with self._writer.as_default(step=step):
      tf.summary.scalar(tag, accuracy)
    return {
      "knn_accuracy": accuracy,
      "knn_k": self._k,
      "knn_temperature": self._temperature,
    }
