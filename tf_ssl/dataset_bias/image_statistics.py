"""Statistics of the boxes in each image: how object-centric a dataset is."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from tf_ssl.dataset_bias import object_boxes


class ImageStatistics(NamedTuple):
  """One value per image; float values are NaN in images without objects.

  Attributes:
    objects: [N] int64, number of objects.
    classes: [N] int64, number of different classes.
    entropy: [N] float64 bits, entropy of the classes of the image's objects; 0
      where all objects are of one class.
    largest_area: [N] float64, share of the image covered by the largest box,
      0..1.
    centeredness: [N] float64, 1 where the center of the largest box is the
      image's center, 0 where it is a corner: 1 - distance / distance of a
      corner, in units of the image's sides.
  """

  objects: np.ndarray
  classes: np.ndarray
  entropy: np.ndarray
  largest_area: np.ndarray
  centeredness: np.ndarray


class CoOccurrence(NamedTuple):
  """Classes that appear in the same images.

  Attributes:
    images: [C, C] int64, number of images that show both classes; on the
      diagonal, number of images with two objects of the class.
    images_with: [C] int64, number of images that show each class.
    entropy: bits, entropy of the class of a random object.
    companion_entropy: bits, entropy of the class of another object in the same
      image, given the class of the first one; NaN if no image has two objects.
      It lies far below `entropy` where a class predicts its companions.
  """

  images: np.ndarray
  images_with: np.ndarray
  entropy: float
  companion_entropy: float


def of_images(objects: object_boxes.ObjectBoxes) -> ImageStatistics:
  """Counts and measures the objects in each image."""
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
  """Counts classes that share images and how well one predicts another."""
  seen = _seen(objects).tocsr()  # [N, C]
  present, twice = (seen > 0).astype(np.int64), (seen > 1).astype(np.int64)
  images = (present.T @ present).toarray()
  images_with = images.diagonal().copy()
  np.fill_diagonal(images, twice.sum(0))
  # Ordered pairs of objects: an image's pairs weigh as much as its objects.
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
  """[N, C] float64, number of objects of each class in each image."""
  shape = (objects.num_images, len(objects.class_names))
  ones = np.ones(len(objects.classes))
  entries = sparse.coo_matrix((ones, (objects.image, objects.classes)), shape)
  entries.sum_duplicates()
  return entries


def _entropy(weights: np.ndarray) -> float:
  """Entropy in bits of a distribution proportional to weights; NaN for none."""
  weights = weights[weights > 1e-12 * weights.max(initial=0.0)]
  if not weights.size:
    return float("nan")
  share = weights / weights.sum()
  return float(abs((share * np.log2(share)).sum()))
