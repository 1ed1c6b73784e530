"""A folder of images and a folder of masks of the same names."""

from collections.abc import Sequence

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets.masks import class_names, masked_images


def read(
  images: str | None,
  masks: str | None,
  *,
  classes: str | None = None,
  void_ids: Sequence[int] = (255,),
  mask_suffix: str = "",
  source: str = "",
) -> masked_images.MaskedImages | None:
  """Pairs images with masks, in the order of the images' names.

  Masks are PNG (gray or with a palette, 8 or 16 bits) or BMP whose values are
  ids. COCO's pixel maps and panoptic categories come so, as do Pascal Context
  and many others.

  Args:
    images: a folder at any depth; None for no dataset.
    masks: the same folders and names again, such as a/1.png for a/1.jpg.
    classes: a file of ids and names (`class_names`); those that are void are no
      classes. None: ids are 0, 1, 2, ..., as many as are seen in the masks.
    void_ids: values of pixels that count for nothing.
    mask_suffix: what follows the image's name in a mask's, such as "_mask".
    source: of the images, for reports; the folder by default.

  Returns:
    The pairs; None without `images`.

  Raises:
    UsageError: a folder is missing or empty, no mask has an image's name, or
      the classes cannot be read.
  """
  if images is None and masks is None:
    return None
  if images is None or masks is None:
    raise errors.UsageError(
      f"images {images!r} and masks {masks!r}: expected a folder for both, or "
      "for neither; change IMAGES and MASKS, or TEST_IMAGES and TEST_MASKS"
    )
  void = tuple(void_ids)
  names = {} if classes is None else class_names.read(classes)
  for number in void:
    names.pop(number, None)
  return masked_images.pair(
    image_folder.read(images),
    masks,
    source=source or images,
    suffix=mask_suffix,
    class_ids=tuple(names),
    class_names=tuple(names.values()),
    void_ids=void,
  )
