"""Trains linear classifiers on a frozen model's features of random crops."""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.linear import grid as linear_grid
from tf_ssl.input_pipeline import labeled_crops
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor, image_model

_SAVE_SECONDS = 30.0  # what a kill costs at most


class Schedule(NamedTuple):
  """How long, and how fast when.

  Attributes:
    epochs: over the images.
    decay_epochs: after which the learning rates are multiplied by `decay`.
    decay: the factor.
    batch_size: images in a step.
  """

  epochs: float = 100.0
  decay_epochs: Sequence[float] = (60.0, 80.0)
  decay: float = 0.1
  batch_size: int = 256

  def num_steps(self, num_images: int) -> int:
    """Of the whole training."""
    return linear_grid.num_steps(self.epochs, num_images, self.batch_size)

  def factor(self, step: int, num_images: int) -> float:
    """What the learning rates are multiplied by at a step, from 0."""
    epoch = step * self.batch_size / num_images
    return self.decay ** sum(epoch >= end for end in self.decay_epochs)


def train(
  model: image_model.ImageModel,
  records: records_lib.ImageRecords,
  grid: linear_grid.LinearGrid,
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
  """Trains, or goes on where `file` says that it was stopped.

  Args:
    model: frozen.
    records: labeled images; what `examples` names is trained on.
    grid: the classifiers, as drawn.
    schedule: of the training.
    file: what is gone on from, and what is left at the end; .npz.
    image_size: pixels a side of a crop.
    seed: of the order and the crops.
    min_area: smallest area of a crop, as a share of the image's.
    encoder_batch_size: images that the model sees at once.
    skipped: told of images that cannot be read.
    title: of the progress bar.

  Raises:
    UsageError: too many images that cannot be read, a batch larger than the
      number of images, a folder that cannot be written.
  """
  num_images = records.num_examples
  steps = schedule.num_steps(num_images)
  if os.path.exists(file):
    grid.restore(file)
  if grid.step >= steps:
    return
  batches = labeled_crops.labeled_crops(
    records,
    image_size=image_size,
    batch_size=schedule.batch_size,
    seed=seed,
    num_steps=steps,
    start_step=grid.step,
    min_area=min_area,
    skipped=skipped,
  )

  def compute(batch: types.LabeledImage) -> tuple[np.ndarray, np.ndarray]:
    parts = [
      model.features(batch.image[i : i + encoder_batch_size])
      for i in range(0, schedule.batch_size, encoder_batch_size)
    ]
    return np.concatenate(parts), batch.label.numpy()

  saved = time.monotonic()
  with tqdm.tqdm(
    total=steps * schedule.batch_size,
    initial=grid.step * schedule.batch_size,
    desc=title,
    unit="image",
    mininterval=0.5,
  ) as bar:
    try:
      for features, labels in feature_extractor.map_ahead(compute, batches):
        factor = schedule.factor(grid.step, num_images)
        losses = grid.train(features, labels, factor)
        least = np.min(losses, initial=np.inf, where=np.isfinite(losses))
        bar.set_postfix_str(f"least loss {least:.3f}", refresh=False)
        bar.update(schedule.batch_size)
        if time.monotonic() - saved > _SAVE_SECONDS:
          _save(grid, file)
          saved = time.monotonic()
    except tf.errors.OpError as error:
      if skipped is not None and skipped.fatal:
        raise errors.UsageError(skipped.fatal) from error
      raise
    except KeyboardInterrupt:
      _save(grid, file)
      raise
  _save(grid, file)


def _save(grid: linear_grid.LinearGrid, file: str) -> None:
  try:
    grid.save(file)
  except OSError as error:
    raise errors.UsageError(
      f"{file} cannot be written ({error.strerror or error}); choose an "
      "output_dir on a disk with room that you may write to"
    ) from error
