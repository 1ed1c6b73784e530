"""Training data of a run: records, labels, and batches from any step on."""

import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import (
  data_service,
  decoded_images,
  skipped,
  view_batches,
)
from tf_ssl.training import settings as settings_lib

# In a run of fewer epochs, decoding all images first does not pay.
_EPOCHS = 2


class RunBatches:
  """The batches of a run, as far as one process needs them.

  Attributes:
    records: training images.
    skipped: record of unusable images.
  """

  def __init__(
    self,
    settings: settings_lib.Pretraining,
    records: records_lib.ImageRecords,
    view_type: type,
    *,
    skipped_file: pathlib.Path,
  ):
    """Connects to the data service, where the settings name one.

    Raises:
      UsageError: nothing answers at the address of the service, or there are
        too few images for a batch.
    """
    self.records = records
    self._timeline = settings.timeline
    for part in self._timeline.parts:
      view_batches.check(records, part.image_size, part.batch_size, view_type)
    self.skipped = skipped.SkippedFiles(
      str(skipped_file),
      num_images=records.num_images,
      max_fraction=settings.max_skipped_fraction,
    )
    self._settings = settings
    self._view_type = view_type
    self._decoded = None
    self._decodes = settings.decoded_mib > 0 and (
      self._timeline.examples(settings.steps) >= _EPOCHS * records.num_examples
    )
    self._service = None
    if settings.data_service_address:
      self._service = data_service.DataService(settings.data_service_address)
      self._decodes = False

  @property
  def made_by_service(self) -> bool:
    """Whether a tf.data service makes the batches; none can be made again."""
    return self._service is not None

  def from_step(
    self, step: int, share: view_batches.Share = view_batches.WHOLE
  ) -> tf.data.Dataset:
    """Dataset of the batches from `step` to the last step of its part."""
    settings = self._settings
    part = self._timeline.at(step)
    if self._decodes:
      self._decodes = False  # Once.
      self._decoded = decoded_images.decode_all(
        self.records, max_mib=settings.decoded_mib
      )
    return view_batches.view_batches(
      self.records,
      view_type=self._view_type,
      decoded=self._decoded,
      recipe=part.recipe,
      cropper=settings.cropper,
      change=settings.background_change,
      image_size=part.image_size,
      batch_size=part.batch_size,
      seed=settings.seed,
      start_step=step,
      share=share,
      num_steps=part.stop,
      earlier=part.earlier,
      finish_views=not settings.finish_views_in_step,
      skipped=self.skipped,
      service=self._service,
    )

  def replace_objects(self, objects: records_lib.Objects | None) -> None:
    """Gives the cropper of later batches other boxes."""
    self.records = self.records._replace(objects=objects)

  @contextlib.contextmanager
  def reading(self) -> Iterator[None]:
    """Replaces TensorFlow's error by a clear one for too many skipped files.

    Raises:
      UsageError: too many files were skipped.
    """
    try:
      yield
    except tf.errors.OpError:
      self.check()
      raise

  def check(self) -> None:
    """Raises UsageError if too many images have been skipped."""
    if self.skipped.fatal:
      raise errors.UsageError(self.skipped.fatal)

  def end(self) -> None:
    """Logs how many examples the data service has lost."""
    if self._service is not None:
      self._service.log_lost()

  def fingerprint(self) -> dict:
    """Digest and sizes of the images, for run.json and resuming."""
    return {
      **records_lib.digest(self.records),
      "examples": self.records.num_examples,
      "classes": num_classes(self.records),
    }

  def missing_counts(self) -> dict[str, int]:
    """Numbers of images and examples that were not trained on, for run.json."""
    counts = {"skipped_files": self.skipped.count}
    if self.records.objects is not None:
      counts["examples_without_boxes"] = self.records.objects.num_without
    if self.records.masks is not None:
      counts["images_without_masks"] = int((~self.records.masks.known).sum())
    if self._service is not None:
      counts["lost_examples"] = self._service.lost
    return counts


def read(settings: settings_lib.Pretraining) -> records_lib.ImageRecords:
  """Finds the training images, and the labels and boxes that the run may see.

  Returns:
    Records; `labels` is None unless the settings ask for labels.

  Raises:
    UsageError: the source, its labels or the boxes cannot be used.
  """
  records = _images(settings)
  if settings.masks is not None:
    records = settings.masks.attach(records)
  if settings.cropper is None or settings.renews_boxes:
    return records
  if settings.boxes is not None:
    records = settings.boxes.attach(records)
  errors.require(
    records.objects is not None,
    f"cropper {type(settings.cropper).__name__}: the training images have no"
    " boxes; expected boxes; set Pretraining.boxes",
  )
  without = records.objects.num_without
  if without:
    logging.warning(
      "%d of %d training examples have no box: their views may be anywhere in"
      " the image",
      without,
      records.num_examples,
    )
  return records


def _images(settings: settings_lib.Pretraining) -> records_lib.ImageRecords:
  """The training images and labels."""
  source, labels = settings.images, settings.labels
  if isinstance(source, records_lib.ImageRecords):  # Such as video frames.
    records, source = source, source.root
    if labels == "none":
      return records._replace(labels=None)
  elif labels == "none":
    return open_images.open_images(source)
  else:
    # Only a manifest can leave the label of some images out.
    all_labeled = labels == "all" or not source.lower().endswith(".csv")
    records = open_images.open_images(source, labeled=all_labeled)
  if records.labels is None:
    raise errors.UsageError(
      f"images {source!r} have no labels: expected class folders, or a manifest"
      " with a column `label`; change IMAGES."
    )
  _check_class_ids(source, records)
  if settings.labeled_fraction < 1.0:
    kept = records_lib.keep_labels(
      records.labels, settings.labeled_fraction, seed=settings.seed
    )
    records = records._replace(labels=kept)
  return records


def num_classes(records: records_lib.ImageRecords) -> int:
  """Number of classes; 0 without labels."""
  if records.labels is None:
    return 0
  return max(len(records.class_names), int(records.labels.max()) + 1)


def _check_class_ids(source: str, records: records_lib.ImageRecords) -> None:
  present = np.unique(records.labels[records.labels >= 0])
  if not len(present):
    raise errors.UsageError(
      f"images {source!r}: no image has a label; fill the column `label`."
    )
  missing = np.setdiff1d(np.arange(present[-1] + 1), present)
  if len(missing):
    raise errors.UsageError(
      f"images {source!r}: class ids go up to {present[-1]}, but no image has"
      f" class {missing[0]}"
      + (f" (nor {len(missing) - 1} others)" if len(missing) > 1 else "")
      + f"; expected ids 0 to {len(present) - 1} without gaps: renumber the"
      " classes, or give their names."
    )
