"""Runs an encoder over batches of images."""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import cross_replica, pixels

# Batches in flight: two small computations use several cores better than one
# computation that is split.
_AT_ONCE = 2


class FeatureExtractor:
  """An encoder compiled once for any number of datasets.

  One graph serves every batch size and image size, so that neither a partial
  batch nor another dataset retraces the encoder. Each call reads the current
  values of the encoder's variables: an extractor can follow a training run.
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    *,
    preprocess: Callable[[tf.Tensor], tf.Tensor] = pixels.normalize,
  ):
    """Wraps the encoder without tracing it.

    Args:
      encoder: called as encoder(images, training=False) with the output of
        `preprocess`; returns [B, D]. An `encoders.resnet.ResNet`, any Keras
        model, or an exported SavedModel.
      preprocess: [B, H, W, 3] 0..255 -> input of the encoder. An exported
        SavedModel normalizes inside: give `lambda images: images`.
    """
    strategy = tf.distribute.get_strategy()
    self._strategy = strategy

    def encode(images):
      features = encoder(preprocess(images), training=False)
      return tf.cast(features, tf.float32)

    self._run = tf.function(
      lambda images: cross_replica.locally(strategy, encode, images),
      input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
    )

  def batch(self, images: tf.Tensor) -> tf.Tensor:
    """Features of one batch.

    Args:
      images: [B, H, W, 3], uint8 or float, 0..255.

    Returns:
      [B, D] float32.
    """
    with self._strategy.scope():  # Threads do not inherit the scope.
      return self._run(tf.cast(images, tf.float32))

  def array(self, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Features of an array of images.

    Args:
      images: [N, H, W, 3], uint8 or float, 0..255, N >= 1.
      batch_size: number of images per batch; bounds the memory for the maps.

    Returns:
      [N, D] float32.
    """
    starts = range(0, len(images), batch_size)
    batches = (images[i : i + batch_size] for i in starts)
    return np.concatenate(list(map_ahead(self._features, batches)))

  def __call__(self, dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Features of a dataset, in its order.

    Args:
      dataset: finite dataset of `batches.LabeledImage`, images 0..255.

    Returns:
      features [N, D] float32 and labels [N] int32, NumPy arrays.

    Raises:
      UsageError: the dataset has no images.
    """
    labels = []

    def images():
      for batch, batch_labels in dataset:
        labels.append(np.asarray(batch_labels, np.int32))  # [B]
        yield batch

    features = list(map_ahead(self._features, images()))  # [B, D] each
    errors.require(
      features,
      "the dataset of labeled images is empty; expected at least one image "
      "that can be decoded",
    )
    return np.concatenate(features), np.concatenate(labels)

  def _features(self, images) -> np.ndarray:
    return self.batch(images).numpy()


def map_ahead(function: Callable, items: Iterable) -> Iterator:
  """Maps in order with two calls in parallel; reads one more item ahead.

  Args:
    function: function that runs in threads; its first call ends before the
      second starts, so that a graph is traced only once.
    items: iterable, consumed in the calling thread.

  Yields:
    function(item), in the order of the items.
  """
  items = iter(items)
  for first in itertools.islice(items, 1):
    yield function(first)
  with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
    waiting = collections.deque()
    for item in items:
      waiting.append(pool.submit(function, item))
      if len(waiting) > _AT_ONCE:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
