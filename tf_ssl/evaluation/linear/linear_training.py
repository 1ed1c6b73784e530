"""Trains linear classifiers on frozen features of random crops, by SGD.

Classifiers with different learning rates are trained side by side on the same
batches, from the same initial weights. Each becomes what it would become alone,
and the expensive part, the features, is computed once.
"""

import math
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import batches as batch_types
from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import predictions, sanity
from tf_ssl.input_pipeline import labeled_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor, image_model
from tf_ssl.ops import optimizers, progress, workdir

_STDDEV = 0.01  # Of the initial weights (METHODS 2).
_SGD_MOMENTUM = 0.9
_SCORES = 2**24  # Scores in memory at once: 64 MiB.
_SAVE_SECONDS = 30.0  # Time that a killed process loses at most.


class Schedule(NamedTuple):
  """Length of the training and decay of the learning rates.

  Attributes:
    epochs: number of passes over the images.
    decay_epochs: epochs after which the learning rates are multiplied by
      `decay`.
    decay: factor of each decay.
    batch_size: images per step.
  """

  epochs: float = 100.0
  decay_epochs: Sequence[float] = (60.0, 80.0)
  decay: float = 0.1
  batch_size: int = 256

  def num_steps(self, num_images: int) -> int:
    """Number of steps that show every image `epochs` times."""
    return max(1, math.ceil(self.epochs * num_images / self.batch_size))

  def factor(self, step: int, num_images: int) -> float:
    """Factor of the learning rates at a step, counted from 0."""
    epoch = step * self.batch_size / num_images
    return self.decay ** sum(epoch >= end for end in self.decay_epochs)


class LinearGrid:
  """G classifiers of C classes on features of width D, as one matrix.

  SGD with momentum 0.9 and no weight decay on softmax cross-entropy. Initial
  weights are drawn from N(0, 0.01), initial biases are 0 (METHODS 2, the linear
  protocol of MoCo's code).

  Attributes:
    learning_rates: [G] learning rates.
    step: number of steps done.
  """

  def __init__(
    self,
    width: int,
    num_classes: int,
    learning_rates: Sequence[float],
    *,
    seed: int,
  ):
    """Draws the initial weights.

    Args:
      width: width D of the features.
      num_classes: number of classes C.
      learning_rates: [G] learning rates > 0.
      seed: seed of the initial weights.
    """
    self.learning_rates = tuple(learning_rates)
    self.step = 0
    self._classes = num_classes
    count = len(self.learning_rates)
    drawn = np.random.default_rng(seed).normal(
      0.0, _STDDEV, [width, num_classes]
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
    """Updates all classifiers once.

    Args:
      features: [B, D] float32.
      labels: [B] int, class ids, 0..C-1.
      factor: factor of the learning rates.

    Returns:
      [G] float32, mean cross-entropy of each classifier; NaN once diverged.
    """
    loss = self._train(features, tf.cast(labels, tf.int64), np.float32(factor))
    self.step += 1
    return loss.numpy()

  def _one_step(self, features, labels, factor) -> tf.Tensor:
    features = _with_ones(features)
    logits = tf.reshape(  # [B, G, C]
      features @ self._weights,
      [-1, len(self.learning_rates), self._classes],
    )
    truth = tf.one_hot(labels, self._classes)[:, tf.newaxis]  # [B, 1, C]
    loss = -tf.reduce_sum(truth * tf.nn.log_softmax(logits), axis=2)  # [B, G]
    # Gradient of each classifier's own mean loss.
    count = tf.cast(tf.size(labels), tf.float32)
    error = (tf.nn.softmax(logits) - truth) / count
    error = tf.reshape(error, [-1, self._rates.shape[0]])  # [B, G * C]
    gradient = tf.matmul(features, error, transpose_a=True)
    optimizers.sgd_update(
      self._weights,
      self._velocity,
      gradient,
      learning_rate=factor * self._rates,  # One for each column.
      sgd_momentum=_SGD_MOMENTUM,
    )
    return tf.reduce_mean(loss, axis=0)

  def has_diverged(self) -> list[bool]:
    """Whether each classifier's weights are no longer finite, [G]."""
    return [not np.isfinite(each).all() for each in self._by_classifier()]

  def predict(
    self, features: np.ndarray, labels: np.ndarray, number: int
  ) -> predictions.Predictions:
    """Predictions of one classifier.

    Args:
      features: [M, D] float32, an array or a memory map.
      labels: [M] int, true classes, 0..C-1.
      number: index of the classifier, 0..G-1; it must not have diverged.
    """
    weights = self._by_classifier()[number]  # [D + 1, C]
    step = max(1, _SCORES // weights.shape[1])
    found = []
    for start in range(0, len(labels), step):
      rows = slice(start, start + step)
      scores = _with_ones(tf.constant(features[rows])) @ weights
      found.append(predictions.from_scores(scores.numpy(), labels[rows]))
    return predictions.Predictions(
      *map(np.concatenate, zip(*found, strict=True))
    )

  def _by_classifier(self) -> np.ndarray:
    """Weights and biases, [G, D + 1, C]."""
    shape = [-1, len(self.learning_rates), self._classes]
    return self._weights.numpy().reshape(shape).transpose(1, 0, 2)

  def save(self, path: str) -> None:
    """Writes weights, velocity and step to an .npz file.

    Raises:
      UsageError: the file cannot be written.
    """
    with (
      workdir.writable(path, "--output_dir"),
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
    """Reads a file of `save`.

    Raises:
      UsageError: the file is damaged, or its shapes differ from this grid's.
    """
    try:
      with np.load(path, allow_pickle=False) as found:
        self._weights.assign(found["weights"])
        self._velocity.assign(found["velocity"])
        self.step = int(found["step"])
    except Exception as error:  # NumPy, zipfile and TensorFlow raise their own.
      reason = " ".join(str(error).split())[:200]
      raise errors.UsageError(
        f"cannot resume from {path} ({reason}); delete it to train from scratch"
      ) from error


def train(
  model: image_model.ImageModel,
  records: records_lib.ImageRecords,
  grid: LinearGrid,
  schedule: Schedule,
  *,
  file: str,
  image_size: int,
  seed: int,
  min_area: float = 0.08,
  encoder_batch_size: int = 64,
  skipped: skipped_lib.SkippedFiles | None = None,
  title: str = "Linear probe",
) -> None:
  """Trains the classifiers, or resumes from `file`.

  Args:
    model: frozen model that computes the features.
    records: labeled images; those in `examples` are trained on.
    grid: classifiers with their initial weights.
    schedule: length of the training and decay of the learning rates.
    file: path of the .npz checkpoint, also written at the end.
    image_size: side of the crops in pixels.
    seed: seed of the order of the images and of the random crops.
    min_area: smallest area of a crop, as a fraction of the image's area.
    encoder_batch_size: images per forward pass of the model.
    skipped: collects the images that cannot be read.
    title: title of the progress bar.

  Raises:
    UsageError: too many images cannot be read, a batch is larger than the set,
      all classifiers have diverged, or the folder cannot be written.
  """
  num_images = records.num_examples
  steps = schedule.num_steps(num_images)
  if os.path.exists(file):
    grid.restore(file)
  if grid.step >= steps:
    return
  batches = labeled_images.labeled_crops(
    records,
    image_size=image_size,
    batch_size=schedule.batch_size,
    seed=seed,
    num_steps=steps,
    start_step=grid.step,
    min_area=min_area,
    skipped=skipped,
  )

  def compute(
    batch: batch_types.LabeledImage,
  ) -> tuple[np.ndarray, np.ndarray]:
    parts = [
      model.features(batch.image[i : i + encoder_batch_size])
      for i in range(0, schedule.batch_size, encoder_batch_size)
    ]
    return np.concatenate(parts), batch.label.numpy()

  saved, losses = time.monotonic(), []
  with progress.bar(
    title,
    total=steps * schedule.batch_size,
    done=grid.step * schedule.batch_size,
    unit="image",
  ) as bar:
    try:
      for features, labels in feature_extractor.map_ahead(compute, batches):
        loss = grid.train(
          features, labels, schedule.factor(grid.step, num_images)
        )
        least = np.min(loss, initial=np.inf, where=np.isfinite(loss))
        losses.append(float(least))
        sanity.check_loss(
          losses,
          step=grid.step,
          steps=steps,
          title=title,
          remedy=f"lower LEARNING_RATES {grid.learning_rates}",
        )
        bar.set_postfix_str(f"lowest loss {least:.3f}", refresh=False)
        bar.update(schedule.batch_size)
        if time.monotonic() - saved > _SAVE_SECONDS:
          grid.save(file)
          saved = time.monotonic()
    except tf.errors.OpError as error:
      if skipped is not None and skipped.fatal:
        raise errors.UsageError(skipped.fatal) from error
      raise
    except KeyboardInterrupt:
      grid.save(file)
      raise
  grid.save(file)


def _with_ones(features: tf.Tensor) -> tf.Tensor:
  """[B, D] -> [B, D + 1], the last column 1 for the biases."""
  return tf.pad(features, [[0, 0], [0, 1]], constant_values=1.0)
