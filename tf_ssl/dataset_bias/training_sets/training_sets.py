"""Which pictures a training set is made of: cut-out boxes, or a random part.

The paper compares three sets of like size: a part of an object-centric dataset,
scene-centric images, and the boxes cut out of such images (METHODS 7).
"""

import os
import re
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

_NO_CLASS = "unknown"


class TrainingSet(NamedTuple):
  """K pictures to write.

  Attributes:
    source: in a few words.
    records: the K pictures; a box is cut out, others are copied as they are.
    names: [K], of the files to write, without the ending, relative and unique;
      the folder is the class where that is known.
    key: identifies the pictures and how they are made; JSON values.
    left_out: from reasons to how many were left out beforehand.
  """

  source: str
  records: records_lib.ImageRecords
  names: tuple[str, ...]
  key: dict[str, Any]
  left_out: dict[str, int]


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
  """The boxes of annotated images, or images, or a random part of either.

  Args:
    annotations: what `open_annotations` reads; None for images as they are.
    images: the folder of the annotated images.
    subset_of: an image source, of which a part is taken; None for boxes.
    match_to: how many pictures: a number, or an image source that has so many.
    split: of VOC's layout.
    min_size: see `of_boxes`.
    margin: the same.
    seed: of the random part.
    max_skipped_fraction: of images, and of boxes.

  Raises:
    UsageError: neither or both of annotations and subset_of, or as of the
      functions below.
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
      "--subset_of needs --match_to=..., a dataset of the size to have or a "
      "number of pictures"
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
  """Every box that is large enough, cut out: the object-centric twin.

  Args:
    annotations: images and boxes; crowds are left out.
    min_size: pixels that a box's shorter side must have, without the margin.
    margin: what is cut out besides on every side, as a share of the box's side
      there; ends at the image's border.

  Raises:
    UsageError: `min_size` or `margin` out of range, or no such box.
  """
  cut = cut_boxes.cut(annotations, min_size=min_size, context=margin)
  folders = _folders(annotations.class_names)
  names = []
  for row, box in enumerate(cut.box_index.tolist()):
    name = cut.images.name(row)
    # With its folders: images of two may be called alike.
    stem = os.path.splitext(name)[0].replace("/", "__")
    names.append(f"{folders[cut.images.labels[row]]}/{stem}_{box:07d}")
  left_out = dict(cut.left_out)
  for reason, which in annotations.skipped.items():
    left_out[reason] = len(which)
  return TrainingSet(
    source=f"boxes of {annotations.source}",
    records=cut.images._replace(class_names=folders),
    names=tuple(names),
    key={
      "boxes": annotations_lib.digest(annotations),
      "min_size": min_size,
      "margin": margin,
    },
    left_out=left_out,
  )


def of_images(source: str) -> TrainingSet:
  """All images of a source, as they are.

  Args:
    source: what `open_images` reads; with classes where it has them.

  Raises:
    UsageError: as of `open_images`.
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
    folders = _folders(known)
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
    left_out={},
  )


def random_part(
  whole: TrainingSet, count: int, *, seed: int = 0
) -> TrainingSet:
  """A random subset of so many pictures, in their order.

  Args:
    whole: what to choose from.
    count: how many.
    seed: of the choice.

  Raises:
    UsageError: fewer are there.
  """
  total = whole.records.num_images
  if not 0 < count <= total:
    raise errors.UsageError(
      f"{whole.source}: {count} pictures were asked for; expected 1 to the "
      f"{total} that are there; change match_to"
    )
  rng = np.random.default_rng(seed)
  chosen = np.sort(rng.choice(total, count, replace=False))
  return whole._replace(
    records=records_lib.take(whole.records, chosen),
    names=tuple(whole.names[i] for i in chosen.tolist()),
    key={**whole.key, "count": count, "seed": seed},
  )


def size_of(match_to: str) -> int:
  """How many pictures a set is to have.

  Args:
    match_to: a whole number, or an image source that has so many.

  Raises:
    UsageError: as of `open_images`, or a number below 1.
  """
  if match_to.isdecimal():
    return int(match_to)
  found = open_images.open_images(match_to, named_by="--match_to")
  return found.num_images


def _folders(class_names: Sequence[str]) -> tuple[str, ...]:
  """Classes as names of folders: visible, no paths, all different."""
  found: list[str] = []
  for number, class_name in enumerate(class_names):
    name = re.sub(r"[/\\\0]", "_", class_name.strip()).lstrip(".")
    if not name or name in found:
      name = f"{name}_{number}"
    found.append(name)
  return tuple(found)
