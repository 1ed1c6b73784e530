"""How object-centric images are: what can be said of their boxes alone."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from tf_ssl.dataset_bias import object_boxes


class ImageStatistics(NamedTuple):
  """One number an image; NaN where it has no object.

  Attributes:
    objects: [N] int64, how many.
    classes: [N] int64, of how many different classes.
    entropy: [N] bits, of the classes of the image's objects; 0 where all are of
      one class.
    largest_area: [N] share of the image that the largest box takes up, 0..1.
    centeredness: [N] of the largest box, 1 where its middle is the image's, 0
      where it is a corner: 1 - distance / distance of a corner, both axes
      measured in image sides.
  """

  objects: np.ndarray
  classes: np.ndarray
  entropy: np.ndarray
  largest_area: np.ndarray
  centeredness: np.ndarray


class CoOccurrence(NamedTuple):
  """Which classes are seen together.

  Attributes:
    images: [C, C] int64, in how many images both classes are seen; on the
      diagonal, in how many two objects of the class are.
    images_with: [C] int64, in how many images each class is seen.
    entropy: bits, of the class of an object that is picked at random.
    companion_entropy: bits, of the class of another object of the same image
      once the first one's class is known; NaN where no image has two objects.
      Far below `entropy`: a class tells what else is there.
  """

  images: np.ndarray
  images_with: np.ndarray
  entropy: float
  companion_entropy: float


def of_images(objects: object_boxes.ObjectBoxes) -> ImageStatistics:
  """Counts and measures the objects of each image."""
  counts = objects.counts
  seen = _seen(objects)
  image = seen.row
  share = seen.data / counts[image]
  entropy = np.bincount(image, -share * np.log2(share), objects.num_images)
  area = np.full(objects.num_images, np.nan)
  centered = area.copy()
  some = np.flatnonzero(counts)
  if len(some):
    inhabited = objects.take(some)
    main = object_boxes.main_objects(inhabited)
    height, width = inhabited.sizes.T
    area[some] = inhabited.areas[main] / (height * width.astype(float))
    boxes = inhabited.boxes[main]
    x = (boxes[:, 0] + boxes[:, 2]) / (2 * width) - 0.5
    y = (boxes[:, 1] + boxes[:, 3]) / (2 * height) - 0.5
    centered[some] = 1 - np.hypot(x, y) / np.hypot(0.5, 0.5)
  return ImageStatistics(
    objects=counts,
    classes=np.bincount(image, minlength=objects.num_images),
    entropy=np.where(counts > 0, np.abs(entropy), np.nan),
    largest_area=area,
    centeredness=centered,
  )


def co_occurrence(objects: object_boxes.ObjectBoxes) -> CoOccurrence:
  """Which classes are seen together, and how well one tells another."""
  seen = _seen(objects).tocsr()  # [N, C]
  present, twice = (seen > 0).astype(np.int64), (seen > 1).astype(np.int64)
  images = (present.T @ present).toarray()
  images_with = images.diagonal().copy()
  np.fill_diagonal(images, twice.sum(0))
  # Ordered pairs of objects; those of an image weigh as much as its objects.
  others = objects.counts - 1
  weight = np.divide(1.0, others, where=others > 0, out=np.zeros(len(others)))
  weighted = sparse.diags(weight) @ seen
  pairs = (seen.T @ weighted).toarray()
  pairs[np.diag_indices_from(pairs)] -= np.ravel(weighted.sum(0))
  return CoOccurrence(
    images=images,
    images_with=images_with,
    entropy=_entropy(np.ravel(seen.sum(0))),
    companion_entropy=_entropy(pairs) - _entropy(pairs.sum(1)),
  )


def _seen(objects: object_boxes.ObjectBoxes) -> sparse.coo_matrix:
  """[N, C] float64, how many objects of each class each image has."""
  shape = (objects.num_images, len(objects.class_names))
  ones = np.ones(len(objects.classes))
  entries = sparse.coo_matrix((ones, (objects.image, objects.classes)), shape)
  entries.sum_duplicates()
  return entries


def _entropy(weights: np.ndarray) -> float:
  """Bits, of a distribution in proportion to the weights; NaN for none."""
  weights = weights[weights > 1e-12 * weights.max(initial=0.0)]
  if not weights.size:
    return float("nan")
  share = weights / weights.sum()
  return float(abs((share * np.log2(share)).sum()))
