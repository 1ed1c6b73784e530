"""What is diagnosed: images and their objects, however these were found."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.dataset_bias import object_boxes
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)


class Subject(NamedTuple):
  """N images and their objects.

  Attributes:
    source: in a few words.
    images: the N images.
    objects: of the N images, in their order.
    digest: identifies images and boxes; JSON values.
    skipped: from reasons to the names of what was left out.
    estimated_by: how objects were found where nobody has drawn boxes; empty
      where somebody has.
  """

  source: str
  images: records_lib.ImageRecords
  objects: object_boxes.ObjectBoxes
  digest: dict[str, Any]
  skipped: Mapping[str, tuple[str, ...]]
  estimated_by: str = ""

  @property
  def name(self) -> str:
    """In tables and charts."""
    return marked("this dataset") if self.estimated_by else "this dataset"


def marked(name: str) -> str:
  """The name of a dataset whose objects were guessed."""
  return f"{name} (estimate)"


def of_annotations(
  annotations: annotations_lib.Annotations,
  *,
  max_images: int = 0,
  seed: int = 0,
) -> Subject:
  """Annotated images as what is diagnosed.

  Args:
    annotations: the images with their boxes.
    max_images: takes a random subset of so many; 0: all.
    seed: of the subset.
  """
  chosen = sample(annotations.num_images, max_images, seed)
  if len(chosen) < annotations.num_images:
    annotations = annotations_lib.take(annotations, chosen)
  skipped = dict(annotations.skipped)
  crowds = np.flatnonzero(annotations.crowd)
  if len(crowds):
    skipped["a crowd, which is not one object"] = tuple(
      annotations.images.name(i) for i in annotations.image_index[crowds]
    )
  objects = object_boxes.of_annotations(annotations)
  if not objects.counts.any():
    raise errors.UsageError(
      f"{annotations.source}: no box in {annotations.num_images} images; "
      "expected images with objects; raise max_images"
    )
  return Subject(
    source=annotations.source,
    images=annotations.images,
    objects=objects,
    digest=annotations_lib.digest(annotations),
    skipped=skipped,
  )


def sample(count: int, max_images: int, seed: int) -> np.ndarray:
  """Indices, ascending, of a random subset of images; 0: of all.

  Raises:
    UsageError: `max_images` is negative.
  """
  if max_images < 0:
    raise errors.UsageError(
      f"max_images={max_images}: expected a number of images, or 0 for all"
    )
  if not max_images or max_images >= count:
    return np.arange(count)
  chosen = np.random.default_rng(seed).choice(count, max_images, replace=False)
  return np.sort(chosen)
