"""Masks of the objects in training images, for a change of background."""

import dataclasses

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.masks import masked_images
from tf_ssl.ops import exif

# Masks whose size is compared with that of the image before a run. Later ones
# are when they are read, and skipped with their images.
_CHECKED = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectMasks:
  """A folder of masks with the names of the images.

  A mask is a PNG or BMP with 8 bits, of the size of its upright image, black
  where no object is, such as the masks of `tools.draw_masks` and `tools.render`
  or class masks with background 0.

  Attributes:
    folder: folder with the same subfolders and names, such as a/1.png for
      a/1.jpg.
    suffix: end of the mask's name after the image's name, such as "_mask".
  """

  folder: str
  suffix: str = ""

  def attach(
    self, images: records_lib.ImageRecords
  ) -> records_lib.ImageRecords:
    """Adds the masks to their images; images without one are counted.

    Args:
      images: training images, one file each.

    Raises:
      UsageError: the examples are not single image files, no image has a mask,
        or one of the first 20 has another size.
    """
    errors.require(
      images.examples is None and images.shards is None,
      "masks: the training examples are pairs of images, or images in shards;"
      " expected a folder of images; change IMAGES, or leave MASKS out",
    )
    found = masked_images.pair(
      images, self.folder, source=images.root, suffix=self.suffix
    )
    for row in range(min(found.num_images, _CHECKED)):
      _check_size(found, row)
    place = {images.name(i): i for i in range(images.num_images)}
    numbers = [place[found.images.name(i)] for i in range(found.num_images)]
    files = images.files.astype(object)
    for number, row in zip(numbers, range(found.num_images), strict=True):
      files[number] = found.masks.path(row).encode("utf-8", "surrogateescape")
    known = np.zeros(images.num_images, bool)
    known[numbers] = True
    if not known.all():
      logging.warning(
        "%d of %d training images have no mask in %r: their background stays",
        int((~known).sum()),
        images.num_images,
        self.folder,
      )
    return images._replace(
      masks=records_lib.Masks(np.array(files.tolist()), known)
    )


def _check_size(found: masked_images.MaskedImages, row: int) -> None:
  try:
    sizes = [
      exif.read_header(each.path(row)).upright
      for each in (found.images, found.masks)
    ]
  except Exception:  # It is told when the image is decoded.
    return
  errors.require(
    sizes[0] == sizes[1],
    f"MASKS: {found.masks.path(row)!r} has {sizes[1]} px, but its image"
    f" {found.images.name(row)!r} {sizes[0]}; expected masks of the size of"
    " their images; change MASKS",
  )
