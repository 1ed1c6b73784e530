"""Images that TensorFlow Datasets has prepared on this machine."""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records, tfrecords

PREFIX = "tfds:"
# A name may end in a version, also after a colon: mnist:3.0.1, mnist:3.*.*
_SOURCE = re.compile(
  r"tfds:(?P<name>[^:\[\]]+(:[\d*]+\.[\d*]+\.[\d*]+)?)(:(?P<split>.+))?"
)


def read(
  source: str, *, labeled: bool = False, data_dir: str | None = None
) -> records.ImageRecords:
  """Locates the images of a prepared dataset. Never downloads.

  Args:
    source: tfds:NAME[:SPLIT], such as tfds:imagenette/320px-v2:validation or
      tfds:cifar10:train[:90%]; SPLIT is train by default.
    labeled: whether to read the feature `label`.
    data_dir: folder of prepared datasets; by default that of TFDS
      ($TFDS_DATA_DIR or ~/tensorflow_datasets).

  Returns:
    The records. With `labeled`, `class_names` are the dataset's; otherwise
    `labels` is None.

  Raises:
    UsageError: the dataset is not prepared or not stored in TFRecord files, or
      has no such split or no image.
  """
  match = _SOURCE.fullmatch(source)
  if not match:
    raise errors.UsageError(
      f"images: {source!r}; expected tfds:NAME[:SPLIT], such as"
      " tfds:cifar10:train"
    )
  name, split = match["name"], match["split"] or "train"
  info = _info(name, data_dir)
  _check(info, name, labeled)
  parts = _parts(info, name, split)
  files = sorted({os.fspath(part.filename) for part in parts})
  found = tfrecords.read(
    files, labeled=labeled, image_feature="image", label_feature="label"
  )
  found = _take(found, files, parts)
  if not labeled:
    return found
  class_names = getattr(info.features["label"], "names", None) or ()
  return found._replace(class_names=tuple(class_names))


def _info(name: str, data_dir: str | None) -> Any:
  """Returns the `tfds.core.DatasetInfo` of a prepared dataset."""
  import tensorflow_datasets as tfds  # Here: slow to import.
  from tensorflow_datasets.core import read_only_builder

  place = {} if data_dir is None else {"data_dir": data_dir}
  try:
    # From its files alone: `tfds.builder` would access the network.
    return read_only_builder.builder_from_files(name, **place).info
  except tfds.core.DatasetNotFoundError as error:
    argument = f', data_dir="{data_dir}"' if data_dir else ""
    raise errors.UsageError(
      f"images: TFDS has not prepared {name!r} in"
      f" {data_dir or tfds.core.constants.DATA_DIR!r}; set TFDS_DATA_DIR to the"
      " folder that holds it, or prepare it: python -c 'import"
      f' tensorflow_datasets as tfds; tfds.builder("{name}"{argument})'
      ".download_and_prepare()'"
    ) from error
  except (ValueError, RuntimeError) as error:
    raise errors.UsageError(
      f"images: TFDS cannot open {name!r} ({' '.join(str(error).split())}); "
      "expected tfds:NAME[:SPLIT]"
    ) from error


def _check(info: Any, name: str, labeled: bool) -> None:
  import tensorflow_datasets as tfds

  if info.file_format != tfds.core.FileFormat.TFRECORD:
    raise errors.UsageError(
      f"images: TFDS has prepared {name!r} as {info.file_format.value} files;"
      " expected tfrecord: prepare it again with that file_format"
    )
  features, missing = dict(info.features.items()), []
  if not isinstance(features.get("image"), tfds.features.Image):
    missing.append("an image `image`")
  if labeled and "label" not in features:
    missing.append("a class `label`")
  if missing:
    raise errors.UsageError(
      f"images: TFDS dataset {name!r} has the features "
      f"{', '.join(sorted(features))}; expected {' and '.join(missing)}"
    )


def _parts(info: Any, name: str, split: str) -> Sequence[Any]:
  """Returns which records of which files belong to a split."""
  try:
    parts = info.splits[split].file_instructions
  except (KeyError, ValueError, AssertionError) as error:
    raise errors.UsageError(
      f"images: TFDS dataset {name!r} has no split {split!r}; expected one of"
      f" {', '.join(sorted(info.splits))}, or a part of one"
    ) from error
  if not parts:
    raise errors.UsageError(
      f"images: split {split!r} of TFDS dataset {name!r} is empty; expected at "
      "least one batch of images"
    )
  return parts


def _take(
  found: records.ImageRecords, files: Sequence[str], parts: Sequence[Any]
) -> records.ImageRecords:
  """Selects the images in `files` that belong to `parts`."""
  starts = np.searchsorted(found.shards.file, np.arange(len(files)))
  rows = np.concatenate(
    [
      starts[files.index(os.fspath(part.filename))]
      + np.arange(part.skip, part.skip + part.take)
      for part in parts
    ]
  )
  return records.take(found, rows)
