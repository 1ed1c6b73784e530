"""A second look at similar hashes: by the features of an encoder.

How similar the features of two images are says nothing without the encoder's
own scale. It is measured first: a pair counts if it is as similar as known
copies, which are made of some of the images.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.duplicates import fingerprints, search
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.models import image_model

_IMAGES = 128  # That known copies are made of.
_LEAST = 8
_RECALL = 95.0  # Percent of the known copies that count. Ours.
_CROP = 0.05  # Share of each side that a cropped copy lacks.
_COLLAPSED = 1e-3  # Spread of the features, relative to their length.
_PART = 1 << 14  # Pairs that are compared at once.


class Scale(NamedTuple):
  """How similar an encoder's features are.

  Attributes:
    center: [D] float32, mean feature, subtracted before cosines.
    min_similarity: similarity that most known copies reach.
    chance: share of pairs of different images that reach it, too, 0..1.
  """

  center: np.ndarray
  min_similarity: float
  chance: float


class EncoderCheck:
  """Confirms pairs of images by an encoder.

  Attributes:
    scale: what the encoder's similarities mean.
  """

  def __init__(
    self,
    model: image_model.ImageModel,
    sets: Sequence[records_lib.ImageRecords],
    *,
    image_size: int,
    batch_size: int = 64,
    seed: int = 0,
  ):
    """Measures the scale.

    Args:
      model: model of the features.
      sets: images that pairs will be of.
      image_size: side of the squares that whole images are resized to, pixels.
      batch_size: number of images that the model sees at once.
      seed: seed of the images that copies are made of.

    Raises:
      UsageError: too few images can be read, or the model gives all of them the
        same features.
    """
    self._model = model
    self._size = image_size
    self._batch_size = batch_size
    self.scale = self._measured(sets, np.random.default_rng(seed))

  def text(self) -> str:
    """What the encoder counts as a copy, as a line of text."""
    return (
      f"{self._model.name} confirms pairs from a similarity of"
      f" {self.scale.min_similarity:.2f}, which {_RECALL:.0f} % of altered"
      f" copies reach, and {100 * self.scale.chance:.2g} % of pairs of"
      " different images"
    )

  def look(
    self,
    first: records_lib.ImageRecords,
    second: records_lib.ImageRecords,
  ) -> search.Look:
    """A second look at pairs of images of two sets, or of one twice."""

    def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
      found = np.zeros(len(one), np.float32)
      sides = [(first, one), (second, other)]
      if first is second:
        sides = [(first, np.concatenate([one, other]))]
      rows = []
      for records, numbers in sides:
        which, place = np.unique(numbers, return_inverse=True)
        rows.append(self._unit(self._features(records, which))[place])
      a, b = rows if len(rows) == 2 else np.split(rows[0], 2)
      for start in range(0, len(one), _PART):
        part = slice(start, start + _PART)
        found[part] = (a[part] * b[part]).sum(1)
      return found

    return search.Look(similarity, self.scale.min_similarity)

  def _measured(self, sets, rng) -> Scale:
    total = sum(records.num_images for records in sets)
    chosen = np.sort(rng.permutation(total)[:_IMAGES])
    images, start = [], 0
    for records in sets:
      inside = (chosen >= start) & (chosen < start + records.num_images)
      if inside.any():
        which = chosen[inside] - start
        images += [batch.image for batch in self._batches(records, which)]
      start += records.num_images
    count = sum(len(batch) for batch in images)
    errors.require(
      count >= _LEAST,
      f"{count} images can be read; expected at least {_LEAST} to measure how"
      f" similar copies are to {self._model.name}; leave the model out",
    )
    images = tf.concat(images, 0)
    plain = self._of_images(images)
    center = plain.mean(0)
    spread = np.linalg.norm(plain - center, axis=1)
    errors.require(
      np.median(spread) > _COLLAPSED * np.linalg.norm(plain, axis=1).mean(),
      f"{self._model.name} gives all images the same features: it has"
      " collapsed, or all images are copies; leave the model out",
    )
    plain = _unit(plain - center)
    known = np.concatenate(
      [
        (plain * _unit(self._of_images(copy) - center)).sum(1)
        for copy in _copies(images)
      ]
    )
    least = float(np.percentile(known, 100 - _RECALL))
    different = (plain @ plain.T)[np.triu_indices(count, 1)]
    return Scale(center, least, float((different >= least).mean()))

  def _batches(self, records, which):
    return numbered_images.numbered_images(
      records_lib.take(records, which),
      image_size=self._size,
      batch_size=self._batch_size,
      framing="whole",
    )

  def _features(self, records, which) -> np.ndarray:
    """[n, D] float32; NaN, which no similarity reaches, for lost images."""
    found = np.full([len(which), len(self.scale.center)], np.nan, np.float32)
    for batch in self._batches(records, which):
      found[batch.index.numpy()] = self._model.features(batch.image)
    return found

  def _of_images(self, images: tf.Tensor) -> np.ndarray:
    step = self._batch_size
    return np.concatenate(
      [
        self._model.features(images[i : i + step])
        for i in range(0, len(images), step)
      ]
    )

  def _unit(self, features: np.ndarray) -> np.ndarray:
    return _unit(features - self.scale.center)


def named(model: image_model.ImageModel | None) -> str:
  """What confirms pairs, for reports: a model, or the default."""
  if model is None:
    side = fingerprints.SIDE
    return f"gradients of the gray images at {side} x {side} pixels"
  return f"features of {model.name}"


def _unit(rows: np.ndarray) -> np.ndarray:
  return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _copies(images: tf.Tensor) -> list[tf.Tensor]:
  """Altered copies of [N, S, S, 3], 0..255."""
  images = tf.cast(images, tf.float32)
  margin = round(_CROP * images.shape[1])
  inner = images[:, margin : -margin or None, margin : -margin or None]
  return [
    tf.reverse(images, [2]),
    tf.image.resize(inner, images.shape[1:3], antialias=True),
    tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(images)),
    images * 0.75,
  ]
