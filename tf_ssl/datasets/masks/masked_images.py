"""Images with a class mask each, as all readers of masks return them.

A mask is an image whose values are class ids. Nothing is decoded here.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import image_folder, missing, records
from tf_ssl.ops import spelling

VOID = -1  # Table value of pixels that are ignored.
BEYOND = -2  # Table value of mask values that are neither a class nor void.
_VALUES = 2**16  # Mask values are 0 to 65,535.
_PREFERRED = ".png"


class MaskedImages(NamedTuple):
  """N images and their masks, in a fixed order.

  Attributes:
    images: records of the N images.
    masks: records of the N masks, in the order of the images.
    source: name of the dataset, for reports and errors.
    class_ids: mask value of each of C classes; empty if values are 0, 1, 2, ...
      and their number is found from the masks.
    class_names: name of each class; empty if classes have no names.
    void_ids: mask values of pixels to ignore.
    skipped: reasons of the skipped images, by name.
  """

  images: records.ImageRecords
  masks: records.ImageRecords
  source: str
  class_ids: tuple[int, ...] = ()
  class_names: tuple[str, ...] = ()
  void_ids: tuple[int, ...] = (255,)
  skipped: Mapping[str, str] = {}

  @property
  def num_images(self) -> int:
    """Number of images, N."""
    return self.images.num_images

  def take(self, indices: Sequence[int]) -> "MaskedImages":
    """Selects images by index, in the given order."""
    indices = np.asarray(indices, np.int64)
    return self._replace(
      images=records.take(self.images, indices),
      masks=records.take(self.masks, indices),
    )

  def table(self, num_classes: int) -> np.ndarray:
    """[65536] int32: class of each mask value, `VOID` or `BEYOND`.

    Args:
      num_classes: number of classes, used without `class_ids`.
    """
    table = np.full(_VALUES, BEYOND, np.int32)
    ids = self.class_ids or range(num_classes)
    table[list(ids)] = np.arange(len(ids))
    table[list(self.void_ids)] = VOID
    return table


def pair(
  images: records.ImageRecords,
  masks: str,
  *,
  source: str,
  suffix: str = "",
  **fields: Any,
) -> MaskedImages:
  """Finds the mask of each image: the same name with any extension.

  An image without a mask is skipped. Of several masks for one image, the PNG is
  used.

  Args:
    images: records of the images, such as a/1.jpg.
    masks: folder of the masks, such as a/1.png.
    source: name of the dataset, for reports and errors.
    suffix: end of the mask's name after the image's name, such as "_mask".
    **fields: further fields of `MaskedImages`.

  Raises:
    UsageError: there are no masks, none has the name of an image, or the class
      ids, names and void ids contradict each other.
  """
  found = image_folder.read(masks)
  mask_index: dict[str, int] = {}
  for index in range(found.num_images):
    stem, extension = os.path.splitext(spelling.key(found.name(index)))
    if stem not in mask_index or extension.lower() == _PREFERRED:
      mask_index[stem] = index
  pairs, skipped = [], {}
  for index in range(images.num_images):
    name = images.name(index)
    mask = mask_index.get(spelling.key(os.path.splitext(name)[0] + suffix))
    if mask is None:
      skipped[name] = "no mask"
    else:
      pairs.append((index, mask))
  if not pairs:
    wanted = os.path.splitext(images.name(0))[0] + suffix + _PREFERRED
    raise errors.UsageError(
      f"{source}: none of the {images.num_images} images under {images.root!r}"
      f" has a mask under {masks!r}; expected names such as {wanted!r} for"
      f" {images.name(0)!r}; change MASKS, or MASK_SUFFIX"
    )
  image_indices, mask_indices = np.array(pairs, np.int64).T
  result = MaskedImages(
    records.take(images, image_indices),
    records.take(found, mask_indices),
    source,
    skipped=skipped,
    **fields,
  )
  _check(result)
  return result


def read_split(
  source: str, split: str, images: str, masks: str, expected: str, **fields: Any
) -> MaskedImages:
  """Pairs the images of one split with their masks.

  Args:
    source: name of the dataset.
    split: name of the split.
    images: folder of the images.
    masks: folder of the masks.
    expected: files that the folders should hold, where to get them, and the
      setting to change.
    **fields: further fields of `MaskedImages`.

  Raises:
    UsageError: there are no images or no masks.
  """
  for folder in (images, masks):
    if not os.path.isdir(folder) or image_folder.is_empty(folder):
      raise missing.no_images(source, folder, expected)
  return pair(
    image_folder.read(images), masks, source=f"{source} {split}", **fields
  )


def hold_out(
  data: MaskedImages, fraction: float
) -> tuple[MaskedImages, MaskedImages]:
  """Splits images that have no test images of their own.

  Args:
    data: images to split.
    fraction: fraction of images to hold out, at equal distances in their order.

  Returns:
    Images to train on, and images to test on. The skipped images are reported
    with the first.

  Raises:
    UsageError: the fraction is not between 0 and 1, or one part is empty.
  """
  numbers = np.arange(data.num_images + 1)
  held = np.diff(np.floor(numbers * fraction + 1e-9)) > 0
  if not 0 < fraction < 1 or held.all() or not held.any():
    raise errors.UsageError(
      f"{data.source}: cannot hold out a fraction of {fraction} of"
      f" {data.num_images} images for testing; expected a number between 0 and"
      " 1 and at least one image in both parts; change HELD_OUT, or give"
      " TEST_IMAGES and TEST_MASKS"
    )
  test = data.take(np.flatnonzero(held))._replace(skipped={})
  return data.take(np.flatnonzero(~held)), test


def digest(data: MaskedImages) -> dict[str, Any]:
  """Identifies images, masks and classes without reading the images.

  Returns:
    `source`; the entries of `records.digest`, with the hash of images, masks
    and classes.
  """
  images, masks = (records.digest(part) for part in (data.images, data.masks))
  sha256 = hashlib.sha256(
    f"{data.class_ids} {data.class_names} {data.void_ids}".encode()
  )
  for part in (images, masks):
    sha256.update(part["sha256"].encode())
  return {"source": data.source, **images, "sha256": sha256.hexdigest()}


def _check(data: MaskedImages) -> None:
  ids = (*data.class_ids, *data.void_ids)
  errors.require(
    all(isinstance(i, int) and 0 <= i < _VALUES for i in ids),
    f"{data.source}: class ids {ids}; expected whole numbers from 0 to"
    f" {_VALUES - 1}; change CLASSES, CLASS_IDS or VOID_IDS",
  )
  errors.require(
    len(set(ids)) == len(ids),
    f"{data.source}: class ids {data.class_ids} and void ids {data.void_ids};"
    " expected each id once; change CLASSES, CLASS_IDS or VOID_IDS",
  )
  errors.require(
    len(data.class_names) in (0, len(data.class_ids)),
    f"{data.source}: {len(data.class_names)} names for"
    f" {len(data.class_ids)} classes; change CLASSES",
  )
