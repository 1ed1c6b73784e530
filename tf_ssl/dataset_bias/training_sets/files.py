"""A training set on the disk: pictures in class folders, or TFRecords."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_ssl.dataset_bias.training_sets import training_sets
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor
from tf_ssl.ops import jpeg, workdir

FORMATS = ("folder", "tfrecord")
_ENDINGS = {
  b"\xff\xd8\xff": ".jpg",
  b"\x89PNG": ".png",
  b"BM": ".bmp",
  b"GIF8": ".gif",
}


class Picture(NamedTuple):
  """One picture of a set, ready to be written.

  Attributes:
    row: which of the set's.
    name: of its file.
    encoded: its bytes.
    problem: why there is none; empty where there is.
  """

  row: int
  name: str
  encoded: bytes
  problem: str = ""


def pictures(
  training_set: training_sets.TrainingSet, start: int, stop: int
) -> Iterator[Picture]:
  """Makes the pictures start..stop-1 of a set, in their order."""
  groups: list[list[int]] = []
  records = training_set.records
  for row in range(start, stop):
    # Boxes of one image stand side by side: it is decoded once.
    if groups and records.shards is None and _same(records, groups[-1][0], row):
      groups[-1].append(row)
    else:
      groups.append([row])
  for made in feature_extractor.map_ahead(
    lambda rows: _make(training_set, rows), groups
  ):
    yield from made


def write_folder(
  root: pathlib.Path, made: Iterator[Picture]
) -> Iterator[Picture]:
  """Writes pictures to their files; passes on each, once it is there."""
  for picture in made:
    if not picture.problem:
      path = root / picture.name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(picture.encoded)
    yield picture


def write_shard(
  path: pathlib.Path,
  training_set: training_sets.TrainingSet,
  made: Iterator[Picture],
) -> Iterator[Picture]:
  """Writes pictures into one TFRecord file, which is there as a whole or not.

  The features are those of `datasets.tfrecords`: `image/encoded`,
  `image/class/label` where the class is known, and besides
  `image/class/text` and `image/filename`.
  """
  with workdir.replacing_file(path) as temporary:
    with tf.io.TFRecordWriter(str(temporary)) as writer:
      for picture in made:
        if not picture.problem:
          example = _example(training_set, picture)
          writer.write(example.SerializeToString(deterministic=True))
        yield picture


def _same(records, first: int, second: int) -> bool:
  return records.files[first] == records.files[second]


def _make(
  training_set: training_sets.TrainingSet, rows: Sequence[int]
) -> list[Picture]:
  """The pictures of rows that lie in one image."""
  records = training_set.records
  try:
    encoded = loading.read_encoded(records, rows[0])
    pixels = decoding.decode(tf.constant(encoded)).numpy()
  except (OSError, EOFError, KeyError, tf.errors.OpError):
    reason = skipped_lib.why_unusable(records, rows[0], None)
    problem = reason or "could not be read at that moment"
    return [_missing(training_set, row, problem) for row in rows]
  made = []
  for row in rows:
    name, box = training_set.names[row], None
    if records.boxes is not None and records.boxes[row][0] >= 0:
      box = records.boxes[row]
    if box is None:
      made.append(Picture(row, name + _ending(encoded), encoded))
      continue
    xmin, ymin, xmax, ymax = box.tolist()
    region = pixels[ymin:ymax, xmin:xmax]
    if min(region.shape[:2]) < 2:
      problem = skipped_lib.why_unusable(records, row, box)
      made.append(_missing(training_set, row, problem or "no pixel"))
    else:
      made.append(Picture(row, f"{name}.jpg", jpeg.encode(region)))
  return made


def _missing(training_set, row: int, problem: str) -> Picture:
  name = f"{training_set.names[row]} of {training_set.records.name(row)}"
  return Picture(row, name, b"", problem)


def _ending(encoded: bytes) -> str:
  found = (e for magic, e in _ENDINGS.items() if encoded.startswith(magic))
  return next(found, ".png")


def _example(
  training_set: training_sets.TrainingSet, picture: Picture
) -> tf.train.Example:
  labels = training_set.records.labels
  label = -1 if labels is None else int(labels[picture.row])
  features = {
    "image/encoded": _bytes(picture.encoded),
    "image/filename": _bytes(os.fsencode(picture.name)),
  }
  if label >= 0:
    text = training_set.records.class_names[label]
    features["image/class/label"] = tf.train.Feature(
      int64_list=tf.train.Int64List(value=[label])
    )
    features["image/class/text"] = _bytes(os.fsencode(text))
  return tf.train.Example(features=tf.train.Features(feature=features))


def _bytes(value: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
