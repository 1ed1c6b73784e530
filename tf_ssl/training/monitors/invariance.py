"""Invariance scores of the encoder during training."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.invariance import score
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base

Sets = (
  invariance_sets.InvarianceSets | Callable[[], invariance_sets.InvarianceSets]
)


class Invariance(base.Monitor):
  """Top-K invariance scores of the frozen encoder, percent.

  Logs `invariance_viewpoint_top10` and so on, and draws
  `invariance/viewpoint_top10`. A score that cannot be measured before the first
  step ends the run, since the settings are wrong. Later, when an encoder may
  have collapsed for a while, it is logged as a warning and left out.
  """

  def __init__(
    self,
    *,
    sets: Sequence[Sets],
    top_k: Sequence[int] = (10, 25),
    batch_size: int = 32,
    every: int = 1000,
  ):
    """Keeps the sets.

    Args:
      sets: invariance sets, or functions that return them, such as
        `rendered_sets.rendered_sets`. Each measurement runs the encoder on all
        their images and keeps the features in memory.
      top_k: numbers of units to average over.
      batch_size: number of images in a batch.
      every: number of steps between two measurements.
    """
    self.every = base.check_every(every)
    self._sets = sets
    self._top_k = tuple(top_k)
    self._batch_size = batch_size

  def find_data(self) -> None:
    """Makes or finds the sets.

    Raises:
      UsageError: two sets have the same invariance and source.
    """
    self._sets = [base.located(one) for one in self._sets]
    self._names = _names(self._sets)

  def start(self, context: base.Context) -> None:
    super().start(context)
    self._images = [
      numbered_images.numbered_images(
        one.images,
        image_size=one.image_size,
        batch_size=self._batch_size,
        framing="whole",  # As in invariance.measure.
      )
      for one in self._sets
    ]

  def measure(self, step: int) -> Mapping[str, float]:
    """Measures each of the sets for each K.

    Raises:
      UsageError: a score cannot be measured at step 0.
    """
    values = {}
    for name, data, images in zip(
      self._names, self._sets, self._images, strict=True
    ):
      try:
        scores = self._scores(name, data, images)
      except errors.UsageError as error:
        if step == 0:
          raise
        logging.warning("step %d: %s", step, error)
        continue
      with self.context.writer.as_default(step=step):
        for k, value in scores.items():
          values[f"invariance_{name}_top{k}"] = value
          tf.summary.scalar(f"invariance/{name}_top{k}", value)
    return values

  def _scores(
    self,
    name: str,
    data: invariance_sets.InvarianceSets,
    images: tf.data.Dataset,
  ) -> dict[int, float]:
    features = self.context.features  # Threads do not inherit the strategy.

    def compute(batch: numbered_images.NumberedImages):
      return features.batch(batch.image).numpy(), batch.index.numpy()

    found = list(feature_extractor.map_ahead(compute, images))
    if not found:
      raise errors.UsageError(
        f"invariance sets of {name}: no image can be read; change `sets`"
      )
    index = np.concatenate([part for _, part in found])
    try:
      return score.representation_invariance_score(
        np.concatenate([part for part, _ in found]),
        data.sets[index],
        data.classes[index],
        top_k=self._top_k,
      ).scores
    except errors.UsageError as error:
      raise errors.UsageError(
        f"invariance sets of {name} cannot be measured: {error}"
      ) from error


def _names(sets: Sequence[invariance_sets.InvarianceSets]) -> list[str]:
  """A name of each for logs: its invariance, with its source if ambiguous."""
  names = [one.invariance for one in sets]
  if len(set(names)) != len(names):
    names = [f"{one.source}_{one.invariance}" for one in sets]
  if len(set(names)) != len(names):
    raise errors.UsageError(
      f"invariance sets {', '.join(names)}: expected each of them once; change"
      " `sets`"
    )
  return [re.sub(r"[^-.\w]", "_", name) for name in names]
