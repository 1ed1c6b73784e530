"""The objects of a dataset, as arrays: what statistics are computed from."""

from typing import NamedTuple

import numpy as np

from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)


class ObjectBoxes(NamedTuple):
  """N images with O objects in all, image after image.

  Attributes:
    sizes: [N, 2] int32, height and width in pixels.
    offsets: [N + 1] int64; the objects of image i are the rows offsets[i] up to
      offsets[i + 1].
    boxes: [O, 4] float64, xmin, ymin, xmax, ymax in pixels, the maximum
      exclusive, inside of the image and not empty.
    classes: [O] int32, rows of `class_names`.
    class_names: of the classes.
  """

  sizes: np.ndarray
  offsets: np.ndarray
  boxes: np.ndarray
  classes: np.ndarray
  class_names: tuple[str, ...]

  @property
  def num_images(self) -> int:
    """How many images; `len` of a named tuple counts its fields."""
    return len(self.sizes)

  @property
  def counts(self) -> np.ndarray:
    """[N], how many objects each image has."""
    return np.diff(self.offsets)

  @property
  def image(self) -> np.ndarray:
    """[O], the image of each object."""
    return np.repeat(np.arange(self.num_images), self.counts)

  @property
  def areas(self) -> np.ndarray:
    """[O], of the boxes, in pixels squared."""
    return np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1)

  def take(self, images: np.ndarray) -> "ObjectBoxes":
    """Some of the images, [n] int, in that order."""
    images = np.asarray(images, np.int64)
    counts = self.counts[images]
    offsets = np.append(0, np.cumsum(counts))
    # The first row of an image's objects, less where they will begin.
    rows = np.arange(offsets[-1])
    rows += np.repeat(self.offsets[:-1][images] - offsets[:-1], counts)
    return self._replace(
      sizes=self.sizes[images],
      offsets=offsets,
      boxes=self.boxes[rows],
      classes=self.classes[rows],
    )


def from_rows(
  sizes: np.ndarray,
  image: np.ndarray,
  boxes: np.ndarray,
  classes: np.ndarray,
  class_names: tuple[str, ...],
) -> ObjectBoxes:
  """Puts objects in the order of their images.

  Args:
    sizes: [N, 2], height and width.
    image: [O], which image each object is in.
    boxes: [O, 4], inside of the images.
    classes: [O].
    class_names: of the classes.
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
  """The objects of annotated images; crowds, which are not one, are left out.

  Objects that are marked as difficult are among them: a crop shows them, too.
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
  """[N], the row of each image's largest object; the first of equal ones.

  Args:
    objects: every image has at least one.
  """
  # By image, then by falling area: the first of each image's.
  order = np.lexsort([-objects.areas, objects.image])
  return order[objects.offsets[:-1]]
