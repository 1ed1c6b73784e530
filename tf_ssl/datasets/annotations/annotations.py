"""What is in images and where: labels of whole images, and boxes.

Every reader of annotated images (`voc`, `coco`) returns `Annotations`. Nothing
is decoded here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib

PRESENT, ABSENT, IGNORED = 1, 0, -1  # what `targets` holds


class Annotations(NamedTuple):
  """M boxes in N images, and which of C classes each image shows.

  Attributes:
    source: what was read, such as "VOC trainval".
    images: the N whole images, without labels and boxes of their own.
    image_ids: [N], what the source calls each image, integers or strings.
    image_sizes: [N, 2] int32, width and height in pixels.
    targets: [N, C] int8: `PRESENT`, `ABSENT` or, where it does not count (the
      class is there as something difficult or as a crowd only, or nothing is
      known), `IGNORED`.
    boxes: [M, 4] float32, pixels: xmin, ymin, xmax, ymax, the maximum
      exclusive, 0 at the upper left; inside the image, of positive area.
    class_ids: [M] int32, from 0 to C - 1.
    image_index: [M] int64, ascending: which of the N images each box is in.
    crowd: [M] bool, whether the box holds many objects as one.
    difficult: [M] bool, whether the source marks the object as not to count.
    areas: [M] float32, pixels that the object covers; the box's where the
      source does not say.
    class_names: [C], name of each class.
    category_ids: [C] int64, the number of each class in the source; from 0
      where it has none.
    clipped: how many of the boxes reached out of their image by more than half
      a pixel, and were cut at its border.
    skipped: from reasons to the names of what was left out.
  """

  source: str
  images: records_lib.ImageRecords
  image_ids: tuple[int | str, ...]
  image_sizes: np.ndarray
  targets: np.ndarray
  boxes: np.ndarray
  class_ids: np.ndarray
  image_index: np.ndarray
  crowd: np.ndarray
  difficult: np.ndarray
  areas: np.ndarray
  class_names: tuple[str, ...]
  category_ids: np.ndarray
  clipped: int
  skipped: Mapping[str, tuple[str, ...]]

  @property
  def num_images(self) -> int:
    """N."""
    return self.images.num_images

  @property
  def num_boxes(self) -> int:
    """M."""
    return len(self.boxes)


def targets_of_boxes(
  num_images: int,
  num_classes: int,
  image_index: np.ndarray,
  class_ids: np.ndarray,
  uncounted: np.ndarray,
) -> np.ndarray:
  """Which classes an image shows, from its boxes.

  Args:
    num_images: N.
    num_classes: C.
    image_index: [M] int.
    class_ids: [M] int.
    uncounted: [M] bool, boxes that are difficult or a crowd.

  Returns:
    [N, C] int8, as `Annotations.targets`.
  """
  targets = np.full((num_images, num_classes), ABSENT, np.int8)
  targets[image_index[uncounted], class_ids[uncounted]] = IGNORED
  targets[image_index[~uncounted], class_ids[~uncounted]] = PRESENT
  return targets


def take(
  annotations: Annotations, images: Sequence[int] | np.ndarray
) -> Annotations:
  """Some of the images, with their boxes.

  Args:
    annotations: of N images.
    images: which of them, in the order to have; none twice.

  Raises:
    UsageError: no image, one that is not there, or one twice.
  """
  images = np.asarray(images, np.int64).reshape(-1)
  count = annotations.num_images
  known = not images.size or (0 <= images.min() and images.max() < count)
  if not images.size or not known or len(np.unique(images)) != len(images):
    raise errors.UsageError(
      f"{annotations.source}: got {len(images)} indices of images to take; "
      f"expected at least one, each of 0 to {count - 1} at most once"
    )
  place = np.full(count, -1, np.int64)
  place[images] = np.arange(len(images))
  boxes = np.flatnonzero(place[annotations.image_index] >= 0)
  order = np.argsort(place[annotations.image_index[boxes]], kind="stable")
  boxes = boxes[order]
  records = annotations.images
  return annotations._replace(
    images=records._replace(
      files=records.files[images], sizes=records.sizes[images]
    ),
    image_ids=tuple(annotations.image_ids[i] for i in images.tolist()),
    image_sizes=annotations.image_sizes[images],
    targets=annotations.targets[images],
    boxes=annotations.boxes[boxes],
    class_ids=annotations.class_ids[boxes],
    image_index=place[annotations.image_index[boxes]],
    crowd=annotations.crowd[boxes],
    difficult=annotations.difficult[boxes],
    areas=annotations.areas[boxes],
  )


def split_images(
  num_images: int, *, test_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Deals images to two sets at random.

  Args:
    num_images: N, at least 2.
    test_fraction: the share of the second set, between 0 and 1.
    seed: of the order.

  Returns:
    Indices of the first and of the second set, int64, ascending each; neither
    is empty.

  Raises:
    UsageError: fewer than 2 images, or a share out of range.
  """
  if num_images < 2 or not 0 < test_fraction < 1:
    raise errors.UsageError(
      f"test_fraction is {test_fraction} of {num_images} images; expected a "
      "share between 0 and 1 of at least 2 images"
    )
  order = np.random.default_rng(seed).permutation(num_images)
  count = min(max(1, round(test_fraction * num_images)), num_images - 1)
  return np.sort(order[count:]), np.sort(order[:count])


def digest(annotations: Annotations) -> dict[str, Any]:
  """Identifies images and annotations without reading the images.

  Returns:
    `source`, what `records.digest` has of the images, `boxes`, their number,
    and `annotations_sha256`, a hash of all labels and boxes in their order.
  """
  sha256 = hashlib.sha256()
  for array in (
    annotations.image_sizes,
    annotations.targets,
    annotations.boxes,
    annotations.class_ids,
    annotations.image_index,
    annotations.crowd,
    annotations.difficult,
  ):
    sha256.update(f"{array.dtype}{array.shape}".encode())
    sha256.update(np.ascontiguousarray(array).tobytes())
  sha256.update("\0".join(annotations.class_names).encode("utf-8", "replace"))
  return {
    "source": annotations.source,
    **records_lib.digest(annotations.images),
    "boxes": annotations.num_boxes,
    "annotations_sha256": sha256.hexdigest(),
  }
