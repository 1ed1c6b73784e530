"""Runs an encoder over labeled images."""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import cross_replica, pixels

# Batches that are computed at once: several cores are used better by several
# small computations than by one that is divided.
_AT_ONCE = 2


class FeatureExtractor:
  """An encoder compiled once, to be run over any number of datasets.

  One graph serves every batch size and every image size: neither the last,
  partial batch nor a second dataset traces the encoder again. The encoder's
  variables are read at each call, so that one extractor follows a training run.
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    *,
    preprocess: Callable[[tf.Tensor], tf.Tensor] = pixels.normalize,
  ):
    """Wraps the encoder; nothing is traced yet.

    Args:
      encoder: called as encoder(images, training=False) on what `preprocess`
        returns; gives [B, D]. A `encoders.resnet.ResNet`, any Keras model, or
        an exported SavedModel.
      preprocess: [B, H, W, 3] 0..255 -> what the encoder expects. An exported
        SavedModel normalizes by itself: give `lambda images: images`.
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
    with self._strategy.scope():  # which threads do not inherit
      return self._run(tf.cast(images, tf.float32))

  def array(self, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Features of images that are all in memory, a few at a time.

    Args:
      images: [N, H, W, 3], uint8 or float, 0..255, N >= 1.
      batch_size: bounds the memory that the encoder's maps take.

    Returns:
      [N, D] float32.
    """
    starts = range(0, len(images), batch_size)
    batches = (images[i : i + batch_size] for i in starts)
    return np.concatenate(list(map_ahead(self._features, batches)))

  def __call__(self, dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Features of a whole dataset, in its order.

    Args:
      dataset: of `types.LabeledImage` batches, images 0..255; finite.

    Returns:
      features [N, D] float32 and labels [N] int32, NumPy arrays in host memory.

    Raises:
      UsageError: the dataset has no images.
    """
    labels = []

    def images():
      for batch, batch_labels in dataset:
        labels.append(np.asarray(batch_labels, np.int32))  # [B]
        yield batch

    features = list(map_ahead(self._features, images()))  # [B, D] each
    if not features:
      raise errors.UsageError(
        "the dataset of labeled images is empty; features need at least one "
        "image that can be decoded"
      )
    return np.concatenate(features), np.concatenate(labels)

  def _features(self, images) -> np.ndarray:
    return self.batch(images).numpy()


def map_ahead(function: Callable, items: Iterable) -> Iterator:
  """Maps in order, some items at once, and takes only one more in advance.

  Args:
    function: called in threads; the first call is over before the second, so
      that what it traces is traced once.
    items: taken one by one, in the thread that iterates.

  Yields:
    function(item), in the order of the items.
  """
  items = iter(items)
  for first in itertools.islice(items, 1):
    yield function(first)  # alone: it traces the encoder, which two must not
  with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
    waiting = collections.deque()
    for item in items:
      waiting.append(pool.submit(function, item))
      if len(waiting) > _AT_ONCE:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()


def extract_features(
  encoder: Callable[..., tf.Tensor],
  dataset: tf.data.Dataset,
  *,
  preprocess: Callable[[tf.Tensor], tf.Tensor] = pixels.normalize,
) -> tuple[np.ndarray, np.ndarray]:
  """Features of a dataset from an encoder that is used only once.

  Compiles the encoder at every call: for more than one dataset, or for the same
  one again and again, keep a `FeatureExtractor`.

  Args:
    encoder: see `FeatureExtractor`.
    dataset: of `types.LabeledImage` batches, images 0..255; finite.
    preprocess: see `FeatureExtractor`.

  Returns:
    features [N, D] float32 and labels [N] int32, NumPy arrays, in order.

  Raises:
    UsageError: the dataset has no images.
  """
  return FeatureExtractor(encoder, preprocess=preprocess)(dataset)
