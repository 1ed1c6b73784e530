"""What the encoder is invariant to, watched while it learns."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.invariance import score
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base


class InvarianceMonitor(base.Monitor):
  """Top-K invariance scores of the frozen encoder.

  What cannot be measured at step 0 ends the run, as it is a mistake in the
  settings. Later, when an encoder may have collapsed for a while, it is logged
  and the score left out: no run of hours ends because it is watched.

  Draws `invariance/viewpoint_top10` and so on, which are in the run's log as
  `invariance_viewpoint_top10`, percent.

  Attributes:
    every: steps between two measurements.
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    sets: Sequence[invariance_sets.InvarianceSets],
    writer: tf.summary.SummaryWriter,
    *,
    every: int,
    top_k: Sequence[int] = (10, 25),
    batch_size: int = 32,
  ):
    """Takes the sets; their images are read anew at each measurement.

    Args:
      encoder: `encoder(images, training=False)`, normalized [B, H, W, 3] ->
        [B, D].
      sets: small ones: each measurement runs the encoder over all images, and
        keeps the features in memory.
      writer: of TensorBoard's events.
      every: see the attribute.
      top_k: numbers of units.
      batch_size: images at once.

    Raises:
      UsageError: two of `sets` are of the same invariance and source.
    """
    self.every = every
    self._features = feature_extractor.FeatureExtractor(encoder)
    self._sets = sets
    self._writer = writer
    self._top_k = tuple(top_k)
    self._images = [
      numbered_images.numbered_images(
        one.images,
        image_size=one.image_size,
        batch_size=batch_size,
        framing="whole",  # as evaluation.measure has it
      )
      for one in sets
    ]
    self._names = _names(sets)

  def measure(self, step: int) -> dict[str, float]:
    """Returns a score for each of the sets and each K.

    Raises:
      UsageError: as `score.representation_invariance_score`, at step 0.
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
      for k, value in scores.items():
        values[f"invariance_{name}_top{k}"] = value
        with self._writer.as_default(step=step):
          tf.summary.scalar(f"invariance/{name}_top{k}", value)
    return values

  def _scores(
    self,
    name: str,
    data: invariance_sets.InvarianceSets,
    images: tf.data.Dataset,
  ) -> dict[int, float]:
    def compute(batch: numbered_images.NumberedImages):
      return self._features.batch(batch.image).numpy(), batch.index.numpy()

    found = list(feature_extractor.map_ahead(compute, images))
    if not found:
      raise errors.UsageError(
        f"invariance_sets: no image of {name} can be read"
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
        f"invariance_sets: {name} cannot be measured: {error}"
      ) from error


def _names(sets: Sequence[invariance_sets.InvarianceSets]) -> list[str]:
  """A name for each, for logs: its invariance, where that is unique."""
  names = [one.invariance for one in sets]
  if len(set(names)) != len(names):
    names = [f"{one.source}_{one.invariance}" for one in sets]
  if len(set(names)) != len(names):
    raise errors.UsageError(
      f"invariance_sets: {', '.join(names)}; expected each of them once"
    )
  return [re.sub(r"[^-.\w]", "_", name) for name in names]
