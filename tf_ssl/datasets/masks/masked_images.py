"""Images with a mask each: the class of every pixel. What its readers return.

A mask is a picture whose values are ids of classes. Nothing is decoded here.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import image_folder, records

VOID = -1  # a pixel that counts for nothing
BEYOND = -2  # a value that is neither a class nor void
_VALUES = 2**16  # of a mask, 0 to 65,535
_PREFERRED = ".png"


class MaskedImages(NamedTuple):
  """N images and their masks, in a fixed order.

  Attributes:
    images: N of them.
    masks: the N masks, in the same order.
    source: the dataset, for reports and errors.
    class_ids: the value in masks of each of C classes; empty where these are 0,
      1, 2, ... and how many there are is to be seen from the masks.
    class_names: of each class; empty where they have none.
    void_ids: values of pixels that count for nothing.
    skipped: from the names of images that were left out to the reasons.
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
    """How many images there are."""
    return self.images.num_images

  def take(self, which: Sequence[int]) -> "MaskedImages":
    """Some of the images, in the order given."""
    return self._replace(
      images=_take(self.images, which), masks=_take(self.masks, which)
    )

  def table(self, num_classes: int) -> np.ndarray:
    """[65536] int32: from a mask's value to the class, `VOID` or `BEYOND`."""
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
  """Finds the mask of every image: of its name, with another extension.

  An image without a mask is left out. Of several masks for an image the PNG is
  taken.

  Args:
    images: such as a/1.jpg.
    masks: the folder of the masks, such as a/1.png.
    source: see `MaskedImages`.
    suffix: what follows the image's name in a mask's, such as "_mask".
    **fields: others of `MaskedImages`.

  Raises:
    UsageError: there are no masks, none has the name of an image, or what
      `fields` say of the classes contradicts itself.
  """
  found = image_folder.read(masks)
  places: dict[str, int] = {}
  for place in range(found.num_images):
    stem, extension = os.path.splitext(found.name(place))
    if stem not in places or extension.lower() == _PREFERRED:
      places[stem] = place
  pairs, skipped = [], {}
  for index in range(images.num_images):
    name = images.name(index)
    place = places.get(os.path.splitext(name)[0] + suffix)
    if place is None:
      skipped[name] = "no mask"
    else:
      pairs.append((index, place))
  if not pairs:
    wanted = os.path.splitext(images.name(0))[0] + suffix + _PREFERRED
    raise errors.UsageError(
      f"{source}: none of the {images.num_images} images under {images.root!r} "
      f"has a mask under {masks!r}; expected one of the same name, such as "
      f"{wanted!r} for {images.name(0)!r}; change MASKS, or MASK_SUFFIX"
    )
  which, where = zip(*pairs, strict=True)
  result = MaskedImages(
    _take(images, which), _take(found, where), source, skipped=skipped, **fields
  )
  _check(result)
  return result


def hold_out(
  data: MaskedImages, share: float
) -> tuple[MaskedImages, MaskedImages]:
  """Divides images that came without test images.

  Args:
    data: the images.
    share: of them that are held out, at equal distances in their order.

  Returns:
    Those to train on, and those to test with; what was left out before is told
    by the first.

  Raises:
    UsageError: the share is not between 0 and 1, or leaves one side empty.
  """
  numbers = np.arange(data.num_images + 1)
  held = np.diff(np.floor(numbers * share + 1e-9)) > 0
  if not 0 < share < 1 or held.all() or not held.any():
    raise errors.UsageError(
      f"{data.source}: a share of {share} of {data.num_images} images cannot "
      "be held out to test with; expected a number between 0 and 1 and at "
      "least one image on both sides; change HELD_OUT, or give TEST_IMAGES and "
      "TEST_MASKS"
    )
  test = data.take(np.flatnonzero(held))._replace(skipped={})
  return data.take(np.flatnonzero(~held)), test


def digest(data: MaskedImages) -> dict[str, Any]:
  """Identifies images, masks and classes without reading a picture."""
  found = [records.digest(part) for part in (data.images, data.masks)]
  sha256 = hashlib.sha256(
    f"{data.class_ids} {data.class_names} {data.void_ids}".encode()
  )
  for part in found:
    sha256.update(part["sha256"].encode())
  return {
    "source": data.source,
    **found[0],
    "sha256": sha256.hexdigest(),
  }


def _take(
  found: records.ImageRecords, which: Sequence[int]
) -> records.ImageRecords:
  which = np.asarray(which, np.int64)
  return found._replace(files=found.files[which], sizes=found.sizes[which])


def _check(data: MaskedImages) -> None:
  ids = (*data.class_ids, *data.void_ids)
  if not all(isinstance(i, int) and 0 <= i < _VALUES for i in ids):
    raise errors.UsageError(
      f"{data.source}: class ids {ids} are not all whole numbers from 0 to "
      f"{_VALUES - 1}; change CLASSES or VOID_IDS"
    )
  if len(set(ids)) != len(ids):
    raise errors.UsageError(
      f"{data.source}: of classes {data.class_ids} and void {data.void_ids} an "
      "id is there twice; change CLASSES or VOID_IDS"
    )
  if data.class_names and len(data.class_names) != len(data.class_ids):
    raise errors.UsageError(
      f"{data.source}: {len(data.class_names)} names for "
      f"{len(data.class_ids)} classes; change CLASSES"
    )
