"""The images of a dataset and the boxes of the objects in them, as arrays."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)


class ObjectBoxes(NamedTuple):
  """N images with O objects in all, sorted by image.

  Attributes:
    sizes: [N, 2] int32, height and width of each image in pixels.
    offsets: [N + 1] int64; the objects of image i are the rows offsets[i] up to
      offsets[i + 1].
    boxes: [O, 4] float64, xmin, ymin, xmax, ymax in pixels, the maximum
      exclusive; each box is inside its image and not empty.
    classes: [O] int32, index of the object's class in `class_names`.
    class_names: names of the classes.
  """

  sizes: np.ndarray
  offsets: np.ndarray
  boxes: np.ndarray
  classes: np.ndarray
  class_names: tuple[str, ...]

  @property
  def num_images(self) -> int:
    """N; `len` of a named tuple counts its fields."""
    return len(self.sizes)

  @property
  def counts(self) -> np.ndarray:
    """[N] int64, number of objects in each image."""
    return np.diff(self.offsets)

  @property
  def image(self) -> np.ndarray:
    """[O] int64, index of the image that holds each object."""
    return np.repeat(np.arange(self.num_images), self.counts)

  @property
  def areas(self) -> np.ndarray:
    """[O] float64, area of each box in pixels squared."""
    return np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1)

  def take(self, images: np.ndarray) -> "ObjectBoxes":
    """Returns the chosen images, [n] int indices, in that order."""
    images = np.asarray(images, np.int64)
    counts = self.counts[images]
    offsets = np.append(0, np.cumsum(counts))
    # Add to each new row the distance from its image's new first row to its old
    # one.
    rows = np.arange(offsets[-1])
    rows += np.repeat(self.offsets[:-1][images] - offsets[:-1], counts)
    return self._replace(
      sizes=self.sizes[images],
      offsets=offsets,
      boxes=self.boxes[rows],
      classes=self.classes[rows],
    )


class Dataset(NamedTuple):
  """N images and their objects, whether annotated or estimated.

  Attributes:
    source: short description of where the images come from.
    images: the N images.
    objects: boxes of the N images, in their order.
    digest: JSON values that identify images and boxes.
    skipped: {reason: names of the images or boxes left out for it}.
    estimated_by: method of the estimate; empty if the objects are annotated.
  """

  source: str
  images: records_lib.ImageRecords
  objects: ObjectBoxes
  digest: dict[str, Any]
  skipped: Mapping[str, tuple[str, ...]]
  estimated_by: str = ""

  @property
  def name(self) -> str:
    """Name in tables and charts."""
    return (
      estimate_name("this dataset") if self.estimated_by else "this dataset"
    )


def estimate_name(name: str) -> str:
  """Marks the name of a dataset whose objects are estimated."""
  return f"{name} (estimate)"


def from_rows(
  sizes: np.ndarray,
  image: np.ndarray,
  boxes: np.ndarray,
  classes: np.ndarray,
  class_names: tuple[str, ...],
) -> ObjectBoxes:
  """Sorts objects by image.

  Args:
    sizes: [N, 2] int, height and width of each image in pixels.
    image: [O] int, index of the image that holds each object.
    boxes: [O, 4] float, xmin, ymin, xmax, ymax in pixels, inside the images.
    classes: [O] int, index of each object's class in `class_names`.
    class_names: names of the classes.
  """
  image = np.asarray(image, np.int64).reshape(-1)
  order = np.argsort(image, kind="stable")
  sizes = np.asarray(sizes, np.int32).reshape(-1, 2)
  counts = np.bincount(image, minlength=len(sizes))
  return ObjectBoxes(
    sizes=sizes,
    offsets=np.append(0, np.cumsum(counts)),
    boxes=np.asarray(boxes, np.float64).reshape(-1, 4)[order],
    classes=np.asarray(classes, np.int32).reshape(-1)[order],
    class_names=tuple(class_names),
  )


def of_annotations(annotations: annotations_lib.Annotations) -> ObjectBoxes:
  """Objects of annotated images, without crowds, which are several objects.

  Objects marked as difficult are included, because crops show them, too.
  """
  single = ~annotations.crowd
  return from_rows(
    annotations.image_sizes[:, ::-1],
    annotations.image_index[single],
    annotations.boxes[single],
    annotations.class_ids[single],
    annotations.class_names,
  )


def main_objects(objects: ObjectBoxes) -> np.ndarray:
  """[N] int64, row of each image's largest object; the first of equal ones.

  Args:
    objects: boxes of images that each have at least one object.
  """
  # By image, then by falling area: the first row of each image is its largest.
  order = np.lexsort([-objects.areas, objects.image])
  return order[objects.offsets[:-1]]


def annotated_dataset(
  annotations: annotations_lib.Annotations,
  *,
  max_images: int = 0,
  seed: int = 0,
) -> Dataset:
  """Makes a dataset of annotated images.

  Args:
    annotations: images with their boxes.
    max_images: size of the random subset to take; 0 for all images.
    seed: seed of the random subset.

  Raises:
    UsageError: `max_images` is negative, or no image has an object.
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
  objects = of_annotations(annotations)
  errors.require(
    objects.counts.any(),
    f"{annotations.source}: no box in {annotations.num_images} images; "
    "expected images with objects; raise max_images",
  )
  return Dataset(
    source=annotations.source,
    images=annotations.images,
    objects=objects,
    digest=annotations_lib.digest(annotations),
    skipped=skipped,
  )


def sample(count: int, max_images: int, seed: int) -> np.ndarray:
  """Draws a random subset of images.

  Args:
    count: number of images to draw from.
    max_images: size of the subset; 0 for all images.
    seed: seed of the draw.

  Returns:
    [n] int64, indices in ascending order.

  Raises:
    UsageError: `max_images` is negative.
  """
  errors.require(
    max_images >= 0,
    f"max_images={max_images}: expected a number of images, or 0 for all",
  )
  if not max_images or max_images >= count:
    return np.arange(count)
  chosen = np.random.default_rng(seed).choice(count, max_images, replace=False)
  return np.sort(chosen)
