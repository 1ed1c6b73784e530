"""Labels and boxes of images.

All readers of annotated images (`voc`, `coco`, `open_images_csv`,
`boxes_manifest`) return `Annotations`. Images are not decoded here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records

PRESENT, ABSENT, IGNORED = 1, 0, -1  # Values of `Annotations.targets`.


class Annotations(NamedTuple):
  """M boxes in N images, and which of C classes each image shows.

  Attributes:
    source: name of the dataset, such as "VOC trainval".
    images: records of the N full images, without labels and boxes.
    image_ids: [N], ids of the images in the source, integers or strings.
    image_sizes: [N, 2] int32, width and height in pixels that the boxes are
      for; those of the image, or of a copy in another size.
    reshaped: [N] bool, whether the image is known to have another aspect ratio
      than `image_sizes`, as a cropped copy has, so that boxes do not apply.
    targets: [N, C] int8: `PRESENT`, `ABSENT`, or `IGNORED` if the class is
      shown only by difficult objects, crowds or skipped boxes, or is unknown.
    boxes: [M, 4] float32, xmin, ymin, xmax, ymax in pixels from the top left,
      maxima exclusive; inside the image, of positive area.
    class_ids: [M] int32, class of each box, 0 to C - 1.
    image_index: [M] int64, ascending, index of each box's image.
    crowd: [M] bool, whether the box covers a group of objects.
    difficult: [M] bool, whether the source marks the object as difficult, to be
      ignored in evaluation.
    areas: [M] float32, area of the object in pixels; the area of the box if the
      source gives none.
    class_names: [C], name of each class.
    category_ids: [C] int64, id of each class in the source; from 0 if the
      source has no ids.
    clipped: number of boxes that exceeded their image by more than half a pixel
      and were clipped.
    skipped: names of skipped inputs, by reason.
  """

  source: str
  images: records.ImageRecords
  image_ids: tuple[int | str, ...]
  image_sizes: np.ndarray
  reshaped: np.ndarray
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
    """Number of images, N."""
    return self.images.num_images

  @property
  def num_boxes(self) -> int:
    """Number of boxes, M."""
    return len(self.boxes)


def targets_of_boxes(
  num_images: int,
  num_classes: int,
  image_index: np.ndarray,
  class_ids: np.ndarray,
  uncounted: np.ndarray,
) -> np.ndarray:
  """Derives from boxes which classes an image shows.

  Args:
    num_images: number of images, N.
    num_classes: number of classes, C.
    image_index: [M] int, image of each box.
    class_ids: [M] int, class of each box.
    uncounted: [M] bool, whether a box is difficult or a crowd.

  Returns:
    [N, C] int8, see `Annotations.targets`.
  """
  targets = np.full((num_images, num_classes), ABSENT, np.int8)
  targets[image_index[uncounted], class_ids[uncounted]] = IGNORED
  targets[image_index[~uncounted], class_ids[~uncounted]] = PRESENT
  return targets


def take(
  annotations: Annotations, images: Sequence[int] | np.ndarray
) -> Annotations:
  """Selects images with their boxes.

  Args:
    annotations: annotations of N images.
    images: indices of the selected images, in the new order, without repeats.

  Raises:
    UsageError: there is no index, or one is out of range or repeated.
  """
  images = np.asarray(images, np.int64).reshape(-1)
  count = annotations.num_images
  known = not images.size or (0 <= images.min() and images.max() < count)
  if not images.size or not known or len(np.unique(images)) != len(images):
    raise errors.UsageError(
      f"{annotations.source}: got {len(images)} image indices; expected at"
      f" least one, each of 0 to {count - 1} at most once"
    )
  new_index = np.full(count, -1, np.int64)
  new_index[images] = np.arange(len(images))
  boxes = np.flatnonzero(new_index[annotations.image_index] >= 0)
  order = np.argsort(new_index[annotations.image_index[boxes]], kind="stable")
  boxes = boxes[order]
  return annotations._replace(
    images=records.take(annotations.images, images),
    image_ids=tuple(annotations.image_ids[i] for i in images.tolist()),
    image_sizes=annotations.image_sizes[images],
    reshaped=annotations.reshaped[images],
    targets=annotations.targets[images],
    boxes=annotations.boxes[boxes],
    class_ids=annotations.class_ids[boxes],
    image_index=new_index[annotations.image_index[boxes]],
    crowd=annotations.crowd[boxes],
    difficult=annotations.difficult[boxes],
    areas=annotations.areas[boxes],
  )


def split_images(
  num_images: int, *, test_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Splits images into two sets at random.

  Args:
    num_images: number of images, N, at least 2.
    test_fraction: fraction of images in the second set, between 0 and 1.
    seed: seed of the random order.

  Returns:
    Ascending indices, int64, of the first and of the second set; neither is
    empty.

  Raises:
    UsageError: there are fewer than 2 images, or the fraction is out of range.
  """
  if num_images < 2 or not 0 < test_fraction < 1:
    raise errors.UsageError(
      f"test_fraction is {test_fraction} of {num_images} images; expected a"
      " fraction between 0 and 1 of at least 2 images"
    )
  order = np.random.default_rng(seed).permutation(num_images)
  count = min(max(1, round(test_fraction * num_images)), num_images - 1)
  return np.sort(order[count:]), np.sort(order[:count])


def digest(annotations: Annotations) -> dict[str, Any]:
  """Identifies images and annotations without reading the images.

  Returns:
    `source`; the entries of `records.digest` for the images; `boxes`, the
    number of boxes; `annotations_sha256`, a hash of all labels and boxes in
    order.
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
    **records.digest(annotations.images),
    "boxes": annotations.num_boxes,
    "annotations_sha256": sha256.hexdigest(),
  }
