"""Chooses the pictures of a training set: cut-out boxes, or a random subset.

The paper compares three sets of the same size: a subset of an object-centric
dataset, scene-centric images, and boxes cut out of such images (METHODS 7).
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.datasets.annotations import cut_boxes, open_annotations
from tf_ssl.ops import names as names_lib

_NO_CLASS = "unknown"


class TrainingSet(NamedTuple):
  """K pictures to write.

  Attributes:
    source: short description of where the pictures come from.
    records: the K pictures; a record's box is cut out, a record without a box
      is copied unchanged.
    names: [K] unique names of the files to write, without the ending, relative
      to the set's folder; the parent folder is the class, if it is known.
    key: JSON values that identify the pictures and the way they are made.
    excluded: {reason: number of boxes or images excluded for it}.
  """

  source: str
  records: records_lib.ImageRecords
  names: tuple[str, ...]
  key: dict[str, Any]
  excluded: dict[str, int]


def choose(
  annotations: str | None,
  images: str | None,
  subset_of: str | None,
  match_to: str | None,
  *,
  split: str = "trainval",
  min_size: int = 32,
  margin: float = 0.1,
  seed: int = 0,
  max_skipped_fraction: float = 0.05,
) -> TrainingSet:
  """Chooses all boxes of annotated images, all images, or a random subset.

  Args:
    annotations: source that `open_annotations` reads; None to copy images.
    images: folder of the annotated images.
    subset_of: image source to draw a subset from; None to cut out boxes.
    match_to: size of the random subset, as a number or as an image source of
      that size; None for all boxes.
    split: split of a dataset in VOC's layout.
    min_size: smallest shorter side of a box in pixels (see `of_boxes`).
    margin: margin around a box, as a share of its sides (see `of_boxes`).
    seed: seed of the random subset.
    max_skipped_fraction: largest share of unusable images, and of unusable
      boxes, 0..1.

  Raises:
    UsageError: neither or both of annotations and subset_of are given, or a
      source cannot be used.
  """
  if (annotations is None) == (subset_of is None):
    raise errors.UsageError(
      "expected either --annotations=... with --images=..., or --subset_of=..."
    )
  if annotations is not None:
    chosen = of_boxes(
      open_annotations.open_annotations(
        annotations,
        images,
        split=split,
        max_skipped_fraction=max_skipped_fraction,
      ),
      min_size=min_size,
      margin=margin,
    )
  elif match_to is None:
    raise errors.UsageError(
      "--subset_of needs --match_to=..., a number of pictures or an image "
      "source of that size"
    )
  else:
    chosen = of_images(subset_of)
  if match_to is not None:
    chosen = random_part(chosen, size_of(match_to), seed=seed)
  return chosen


def of_boxes(
  annotations: annotations_lib.Annotations,
  *,
  min_size: int = 32,
  margin: float = 0.1,
) -> TrainingSet:
  """Cuts out every box that is large enough: the object-centric counterpart.

  Args:
    annotations: images and boxes; crowds are excluded.
    min_size: smallest shorter side of a box in pixels, without the margin.
    margin: width of the margin on every side, as a share of the box's width or
      height; it ends at the image's border.

  Raises:
    UsageError: `min_size` or `margin` is out of range, or no box is left.
  """
  cut = cut_boxes.cut(annotations, min_size=min_size, context=margin)
  folders = class_folders(annotations.class_names)
  names = []
  for row, box in enumerate(cut.box_index.tolist()):
    path = str(pathlib.PurePosixPath(cut.images.name(row)))  # Without "./".
    # Images in two folders may have the same name.
    stem = names_lib.of_file(os.path.splitext(path)[0].replace("/", "__"))
    names.append(f"{folders[cut.images.labels[row]]}/{stem}_{box:07d}")
  excluded = dict(cut.skipped)
  for reason, which in annotations.skipped.items():
    excluded[reason] = len(which)
  return TrainingSet(
    source=f"boxes of {annotations.source}",
    records=cut.images._replace(class_names=folders),
    names=tuple(names),
    key={
      "boxes": annotations_lib.digest(annotations),
      "min_size": min_size,
      "margin": margin,
    },
    excluded=excluded,
  )


def of_images(source: str) -> TrainingSet:
  """Takes all images of a source unchanged.

  Args:
    source: image source that `open_images` reads, with or without classes.

  Raises:
    UsageError: the source cannot be read.
  """
  try:
    records = open_images.open_images(
      source, labeled=True, named_by="--subset_of"
    )
  except errors.UsageError:
    records = open_images.open_images(source, named_by="--subset_of")
  names = [f"{number:08d}" for number in range(records.num_images)]
  if records.labels is not None:
    known = records.class_names or tuple(
      str(i) for i in range(records.labels.max(initial=-1) + 1)
    )
    folders = class_folders(known)
    records = records._replace(class_names=folders)
    names = [
      f"{folders[label] if label >= 0 else _NO_CLASS}/{name}"
      for label, name in zip(records.labels.tolist(), names, strict=True)
    ]
  return TrainingSet(
    source=f"images of {source}",
    records=records._replace(examples=None),
    names=tuple(names),
    key={"images": records_lib.digest(records)},
    excluded={},
  )


def random_part(
  whole: TrainingSet, count: int, *, seed: int = 0
) -> TrainingSet:
  """Draws a random subset of the pictures and keeps their order.

  Args:
    whole: the pictures to draw from.
    count: number of pictures to draw.
    seed: seed of the draw.

  Raises:
    UsageError: `count` is less than 1 or more than the number of pictures.
  """
  total = whole.records.num_images
  if not 0 < count <= total:
    raise errors.UsageError(
      f"{whole.source}: match_to asks for {count} pictures; expected 1 to "
      f"{total}; change match_to"
    )
  rng = np.random.default_rng(seed)
  chosen = np.sort(rng.choice(total, count, replace=False))
  return whole._replace(
    records=records_lib.take(whole.records, chosen),
    names=tuple(whole.names[i] for i in chosen.tolist()),
    key={**whole.key, "count": count, "seed": seed},
  )


def size_of(match_to: str) -> int:
  """Number of pictures that `match_to` asks for.

  Args:
    match_to: a decimal number, or an image source of that size.

  Raises:
    UsageError: the image source cannot be read.
  """
  if match_to.isdecimal():
    return int(match_to)
  found = open_images.open_images(match_to, named_by="--match_to")
  return found.num_images


def class_folders(class_names: Sequence[str]) -> tuple[str, ...]:
  """Makes class names into folder names: not hidden, no paths, unique."""
  found: dict[str, str] = {}
  for number, class_name in enumerate(class_names):
    name = names_lib.of_file(class_name)
    # Some file systems take "Cat" and "cat" for one name.
    while not name or name.casefold() in found:
      name = f"{name}_{number}"
    found[name.casefold()] = name
  return tuple(found.values())
