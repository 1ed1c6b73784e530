"""Prepared datasets of TensorFlow Datasets, read where they lie on disk."""

import re

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records, tfrecords

PREFIX = "tfds:"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def read(
  source: str, *, labelled: bool = False, data_dir: str | None = None
) -> records.ImageRecords:
  """Lists the images of a dataset that TFDS has prepared as TFRecords.

  Args:
    source: `tfds:NAME[:SPLIT]`; NAME may hold a configuration and a version
      (`cifar10:3.0.2`), SPLIT a slice (`train[:10%]`). `train` by default.
    labelled: whether to read the labels too.
    data_dir: where TFDS keeps its data; its own default if None, which the
      environment variable TFDS_DATA_DIR sets.

  Returns:
    The records, in the order of the shards.

  Raises:
    UsageError: there is no such dataset or split, it is not prepared, or it has
      no image.
  """
  import tensorflow_datasets as tfds  # here: slow to import

  name, split = _parse(source)
  try:
    builder = tfds.builder(name, data_dir=data_dir)
  except Exception as error:
    reason = str(error).strip().splitlines()
    raise errors.UsageError(
      f"images: {source!r} is no dataset that tensorflow-datasets knows "
      f"({reason[0] if reason else type(error).__name__}); expected "
      "tfds:NAME[:SPLIT]"
    ) from error
  if not builder.info.splits:
    where = "" if data_dir is None else f" --data_dir={data_dir}"
    raise errors.UsageError(
      f"images: {source!r} is not prepared on this machine; run `tfds build "
      f"{name}{where}` first"
    )
  try:
    instructions = builder.info.splits[split].file_instructions
  except (KeyError, ValueError) as error:
    raise errors.UsageError(
      f"images: {source!r} has no split {split!r}; expected one of "
      f"{sorted(builder.info.splits)}"
    ) from error
  if builder.info.file_format.value != "tfrecord":
    raise errors.UsageError(
      f"images: {source!r} is stored as {builder.info.file_format.value}; "
      f"expected it prepared with `tfds build {name} --file_format=tfrecord`"
    )
  features = builder.info.features
  images = _keys(features, tfds.features.Image)
  labels = _keys(features, tfds.features.ClassLabel)
  if not images or (labelled and not labels):
    raise errors.UsageError(
      f"images: {source!r} has the features {sorted(features)}; expected "
      f"{'an image and a class label' if labelled else 'an image'}"
    )
  found = tfrecords.read(
    [str(i.filename) for i in instructions],
    labelled=labelled,
    image_feature=images[0],
    label_feature=labels[0] if labels else "",
    class_names=tuple(features[labels[0]].names) if labels else (),
  )
  return _take(found, instructions)


def _parse(source: str) -> tuple[str, str]:
  """`tfds:NAME[:SPLIT]` -> NAME, SPLIT."""
  name, _, last = source[len(PREFIX) :].rpartition(":")
  if not name or _VERSION.fullmatch(last):
    return source[len(PREFIX) :], "train"
  return name, last


def _keys(features, kind) -> list[str]:
  return [key for key in features if isinstance(features[key], kind)]


def _take(found: records.ImageRecords, instructions) -> records.ImageRecords:
  """Keeps what a slice of a split takes of each shard."""
  kept = np.zeros([found.num_images], bool)
  for row, instruction in enumerate(instructions):
    places = np.flatnonzero(found.shards.file == row)[instruction.skip :]
    take = instruction.take
    kept[places if take is None or take < 0 else places[:take]] = True
  shards = found.shards
  return found._replace(
    sizes=found.sizes[kept],
    labels=None if found.labels is None else found.labels[kept],
    shards=records.Shards(
      shards.file[kept],
      shards.offset[kept],
      shards.length[kept],
      shards.image_feature,
    ),
  )
