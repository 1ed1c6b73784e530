"""The images that a run trains on, with as many labels as it may see."""

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.training import settings as settings_lib


def read(settings: settings_lib.Pretraining) -> records_lib.ImageRecords:
  """Finds a run's images.

  Returns:
    The records; `labels` is None unless the settings ask for labels.

  Raises:
    UsageError: the source cannot be used, or its labels cannot.
  """
  source, labels = settings.images, settings.labels
  if isinstance(source, records_lib.ImageRecords):  # such as frames of videos
    records, source = source, source.root
    if labels == "none":
      return records._replace(labels=None)
  elif labels == "none":
    return open_images.open_images(source)
  else:
    # Only a manifest has a way to leave some images without.
    all_have = labels == "all" or not source.lower().endswith(".csv")
    records = open_images.open_images(source, labeled=all_have)
  if records.labels is None:
    raise errors.UsageError(
      f"images {source!r} have no labels: expected class folders, or a manifest"
      " with a column `label`; change IMAGES."
    )
  _refuse_gaps(source, records)
  if settings.labeled_fraction < 1.0:
    kept = records_lib.keep_labels(
      records.labels, settings.labeled_fraction, seed=settings.seed
    )
    records = records._replace(labels=kept)
  return records


def num_classes(records: records_lib.ImageRecords) -> int:
  """C of the labels, 0 without."""
  if records.labels is None:
    return 0
  return max(len(records.class_names), int(records.labels.max()) + 1)


def _refuse_gaps(source: str, records: records_lib.ImageRecords) -> None:
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
      + f"; expected ids 0 to {len(present) - 1} without gaps: number the"
      " classes anew, or give their names."
    )
