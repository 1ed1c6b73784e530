"""Boxes of objects in training images, for croppers."""

import dataclasses
import os

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import open_annotations
from tf_ssl.ops import exif
from tf_ssl.ops import names as names_lib

# Largest share of annotated training images with another aspect ratio than
# their annotations say. Above it, it is the wrong folder; a choice of this
# project.
_MAX_RESHAPED = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownObjects:
  """Annotated boxes, or proposals of `tools.find_objects`.

  Attributes:
    annotations: COCO's FILE.json, VOC's XML files, or FILE.csv of Open Images
      or a manifest, see `open_annotations`; it may hold more or fewer images
      than are trained on.
    images: folder that its names are relative to; None for the folder of the
      training images.
    split: split of a dataset in VOC's layout.
    min_area: smallest area of a box, as a fraction of the image's. Boxes below
      it show little to learn from; 0.01 is a choice of this project.
  """

  annotations: str
  images: str | None = None
  split: str = "trainval"
  min_area: float = 0.01

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    errors.require(
      0.0 <= self.min_area < 1.0,
      f"KnownObjects.min_area={self.min_area}: expected a fraction of the image"
      " from 0 and below 1; change BOX_MIN_AREA",
    )

  def attach(
    self, images: records_lib.ImageRecords
  ) -> records_lib.ImageRecords:
    """Adds the boxes to the images that they belong to.

    Images without a box are counted in one logged line. Those with another
    aspect ratio than their annotations say count as without one.

    Args:
      images: training images, each an example of its own.

    Raises:
      UsageError: the annotations cannot be read, none of their boxes is of a
        training image and large enough, or most of these images have another
        aspect ratio than their annotations say.
    """
    errors.require(
      images.examples is None,
      "boxes: the training examples are pairs of images, but boxes are of"
      " single images; expected single images, or region tracks as objects"
      " (region_tracks.tracked_objects); change IMAGES",
    )
    folder = images.root if self.images is None else self.images
    try:
      found = open_annotations.open_annotations(
        self.annotations,
        folder,
        split=self.split,
        max_skipped_fraction=1.0,  # Other images than these may be missing.
      )
    except errors.UsageError as error:
      raise errors.UsageError(
        f"BOXES={self.annotations!r}, whose names are relative to"
        f" {folder!r} (BOX_IMAGES): {error}"
      ) from error
    objects = of_annotations(images, found, min_area=self.min_area)
    logging.info(
      "boxes %r: %d boxes in %d of %d training images",
      self.annotations,
      len(objects.boxes),
      images.num_images - objects.num_without,
      images.num_images,
    )
    return images._replace(objects=objects)


def of_annotations(
  images: records_lib.ImageRecords,
  annotations: annotations_lib.Annotations,
  *,
  min_area: float = 0.0,
) -> records_lib.Objects:
  """Finds the boxes of training images by their paths, without crowds.

  Boxes of an image with another aspect ratio than its annotation says are left
  out, with a warning.

  Args:
    images: N training images.
    annotations: annotated images, some of which are among them.
    min_area: smallest area of a box, as a fraction of the image's.

  Raises:
    UsageError: no box is of a training image and large enough, or most of the
      annotated training images have another aspect ratio.
  """
  place = {_path(images, i): i for i in range(images.num_images)}
  of_image = np.array(
    [
      place.get(_path(annotations.images, i), -1)
      for i in range(annotations.num_images)
    ],
    np.int64,
  )
  matched = int((of_image >= 0).sum())
  errors.require(
    matched,
    f"boxes of {annotations.source}: none of its {len(of_image)} images, such"
    f" as {names_lib.escaped(_path(annotations.images, 0))!r}, is among the"
    f" {images.num_images} training images, such as"
    f" {names_lib.escaped(_path(images, 0))!r}; expected boxes of the training"
    " images; change BOXES, or BOX_IMAGES, the folder that its names are"
    " relative to",
  )
  _check_shapes(annotations, of_image >= 0)
  sides = annotations.image_sizes[annotations.image_index].astype(np.float32)
  boxes = annotations.boxes / np.tile(sides, 2)
  area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  image = of_image[annotations.image_index]
  usable = (image >= 0) & ~annotations.reshaped[annotations.image_index]
  kept = np.flatnonzero(usable & ~annotations.crowd & (area >= min_area))
  errors.require(
    len(kept),
    f"boxes of {annotations.source}: none of the boxes of {matched} training"
    f" images covers {min_area:g} of its image; expected larger objects; lower"
    " BOX_MIN_AREA",
  )
  kept = kept[np.argsort(image[kept], kind="stable")]
  counts = np.bincount(image[kept], minlength=images.num_images)
  return records_lib.Objects(
    offsets=np.append(0, np.cumsum(counts)),
    boxes=np.ascontiguousarray(boxes[kept][:, None, [1, 0, 3, 2]]),
  )


def _check_shapes(
  annotations: annotations_lib.Annotations, matched: np.ndarray
) -> None:
  """Counts cropped or stretched copies; most of the images must not be one.

  Args:
    annotations: N annotated images.
    matched: [N] bool, whether an image is a training image, at least one.
  """
  reshaped = np.flatnonzero(annotations.reshaped & matched)
  if not len(reshaped):
    return
  first, total = reshaped[0], int(matched.sum())
  header = exif.read_header(annotations.images.path(first))
  found, given = (
    "{}x{}".format(*size)
    for size in (header.upright, annotations.image_sizes[first])
  )
  text = (
    f"boxes of {annotations.source}: {len(reshaped)} of {total} annotated"
    " training images have another aspect ratio than their annotations say,"
    f" such as {names_lib.escaped(annotations.images.name(first))!r} ({found}"
    f" px, annotated as {given})"
  )
  errors.require(
    len(reshaped) <= _MAX_RESHAPED * total,
    f"{text}; expected the annotated images, or copies of them in any size that"
    " are neither cropped nor stretched; change IMAGES, or BOXES",
  )
  logging.warning("%s: their boxes are left out", text)


def _path(images: records_lib.ImageRecords, index: int) -> str:
  """Path of an image without `..`; in shards also its place."""
  return os.path.normpath(os.path.join(images.root, images.name(index)))
