"""What a run trains on: its images, the batches of them, what was left out."""

import contextlib
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import data_service, skipped, view_batches
from tf_ssl.training import settings as settings_lib
from tf_ssl.training import training_images


class RunBatches:
  """One process's share of a run's batches, from any step on.

  Attributes:
    records: the run's images.
    skipped: which of them could not be used.
    made_elsewhere: whether a tf.data service makes the batches.
  """

  def __init__(
    self,
    settings: settings_lib.Pretraining,
    records: records_lib.ImageRecords,
    view_type: type,
    *,
    skipped_file: pathlib.Path,
  ):
    """Finds the data service, where the settings name one.

    Raises:
      UsageError: nothing answers at its address.
    """
    self.records = records
    self.skipped = skipped.SkippedFiles(
      str(skipped_file),
      num_images=records.num_images,
      max_fraction=settings.max_skipped_fraction,
    )
    self._settings = settings
    self._view_type = view_type
    self._service = None
    if settings.data_service_address:
      self._service = data_service.DataService(settings.data_service_address)

  @property
  def made_elsewhere(self) -> bool:
    """Whether a batch, once gone, cannot be made again."""
    return self._service is not None

  def from_step(
    self, step: int, share: view_batches.Share = view_batches.WHOLE
  ) -> tf.data.Dataset:
    """The batches of the steps from this one to the run's last."""
    settings = self._settings
    return view_batches.view_batches(
      self.records,
      view_type=self._view_type,
      recipe=settings.recipe,
      image_size=settings.image_size,
      batch_size=settings.batch_size,
      seed=settings.seed,
      start_step=step,
      share=share,
      num_steps=settings.steps,
      finish_views=not settings.finish_views_in_step,
      skipped=self.skipped,
      service=self._service,
    )

  @contextlib.contextmanager
  def reading(self) -> Iterator[None]:
    """Says clearly that too many files were skipped, where that was it.

    Raises:
      UsageError: it was.
    """
    try:
      yield
    except tf.errors.OpError:
      self.check()
      raise

  def check(self) -> None:
    """Raises a UsageError where too many images were skipped by now."""
    if self.skipped.fatal:
      raise errors.UsageError(self.skipped.fatal)

  def end(self) -> None:
    """Tells what the data service has lost."""
    if self._service is not None:
      self._service.log_lost()

  def identity(self) -> dict:
    """What run.json says of the images: they are to be the same ones again."""
    return {
      **records_lib.digest(self.records),
      "examples": self.records.num_examples,
      "classes": training_images.num_classes(self.records),
    }

  def losses(self) -> dict[str, int]:
    """What run.json says of examples that were not trained on."""
    found = {"skipped_files": self.skipped.count}
    if self._service is not None:
      found["lost_examples"] = self._service.lost
    return found
