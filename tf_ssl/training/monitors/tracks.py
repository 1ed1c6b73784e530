"""Object re-identification on held-out videos during training."""

from collections.abc import Callable, Mapping

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import representation
from tf_ssl.input_pipeline import labeled_images, region_tracks
from tf_ssl.training.monitors import base


class Reidentification(base.Monitor):
  """How often an object is found again among the objects of other tracks.

  Metric `same_object` of `evaluation.representation`, 0..1, on regions
  without augmentation. With a baseline, the run ends with training that method
  from the same initial weights on the same examples for the same number of
  steps, and measuring it.
  """

  def __init__(
    self,
    *,
    tracks: Callable[[], records_lib.ImageRecords] | records_lib.ImageRecords,
    baseline: Callable | None = None,
    baseline_name: str = "baseline",
    every: int = 1000,
  ):
    """Keeps the source of the tracks.

    Args:
      tracks: records of region tracks of videos that are not trained on, or a
        function that returns them, such as `region_tracks.region_tracks`.
      baseline: builder of the method to compare with; None for no comparison.
      baseline_name: name of the baseline in the summary.
      every: number of steps between two measurements.
    """
    self.every = base.check_every(every)
    self.baseline = baseline
    self.baseline_name = baseline_name
    self._records = tracks

  def find_data(self) -> None:
    """Reads the tracks.

    Raises:
      UsageError: the records hold no tracks.
    """
    self._records = base.located(self._records)
    examples = self._records.examples
    if examples is None or examples.tracks is None:
      raise errors.UsageError(
        f"tracks: {self._records.root!r} holds no region tracks; expected what"
        " `region_tracks` returns; change `tracks` of the monitor"
      )
    self.num_pairs = len(examples.tracks)
    self.num_tracks = len(np.unique(examples.tracks))

  def start(self, context: base.Context) -> None:
    super().start(context)
    self._regions = labeled_images.labeled_images(
      region_tracks.regions(self._records),
      image_size=context.image_size,
      batch_size=context.batch_size,
    )

  def measure(self, step: int) -> Mapping[str, float]:
    """Measures `same_object`.

    Raises:
      UsageError: too few regions can be read.
    """
    del step
    found, numbers = self.context.features(self._regions)
    position = np.full([2 * self.num_pairs], -1)
    position[numbers] = np.arange(len(numbers))
    rows = position.reshape(-1, 2)  # Rows of `found` for a pair's two regions.
    read = (rows >= 0).all(1)
    accuracy = representation.same_object_accuracy(
      *(found[column] for column in rows[read].T),
      self._records.examples.tracks[read],
    )
    return {"same_object": accuracy}

  def summary(self, before, after, baseline) -> str | None:
    if "same_object" not in after:
      return None
    line = (
      "object of a held-out video found again"
      f" {self._records.examples.seconds:g} s later among {self.num_tracks - 1}"
      f" other objects: {before['same_object']:.1%} right (untrained) ->"
      f" {after['same_object']:.1%} (trained); chance"
      f" {1 / self.num_tracks:.1%}"
    )
    if baseline and "same_object" in baseline:
      line += f"; {self.baseline_name}: {baseline['same_object']:.1%}"
    return f"{line}; {self.num_pairs} pairs"
