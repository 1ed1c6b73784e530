"""A folder of images and a folder of masks with the same names."""

from collections.abc import Sequence

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets.masks import class_names, masked_images


def read(
  images: str | None,
  masks: str | None,
  *,
  classes: str | None = None,
  class_ids: Sequence[int] | None = None,
  void_ids: Sequence[int] = (255,),
  mask_suffix: str = "",
  source: str = "",
) -> masked_images.MaskedImages | None:
  """Pairs images with masks, in the order of the images' names.

  Masks are PNG (gray or with a palette, 8 or 16 bits) or BMP whose values are
  class ids, such as COCO's pixel maps and panoptic categories, or Pascal
  Context.

  Args:
    images: folder of images at any depth; None for no dataset.
    masks: folder with the same subfolders and names, such as a/1.png for
      a/1.jpg.
    classes: file of class ids and names (`class_names`); void ids in it are not
      classes. None if ids are 0, 1, 2, ..., as found in the masks.
    class_ids: mask values of the classes, in order, such as (0, 255), with the
      names in `classes`, if any; None for all in `classes`. They are not void.
    void_ids: mask values of pixels to ignore.
    mask_suffix: end of the mask's name after the image's name, such as "_mask".
    source: name of the dataset, for reports; the folder of images by default.

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
      f"images {images!r} and masks {masks!r}: expected folders for both or for"
      " neither; change IMAGES and MASKS, or TEST_IMAGES and TEST_MASKS"
    )
  names = {} if classes is None else class_names.read(classes)
  if class_ids is not None:
    names = {i: names.get(i, f"class {i}") for i in class_ids}
    void_ids = [i for i in void_ids if i not in names]
  for number in void_ids:
    names.pop(number, None)
  return masked_images.pair(
    image_folder.read(images),
    masks,
    source=source or images,
    suffix=mask_suffix,
    class_ids=tuple(names),
    class_names=tuple(names.values()),
    void_ids=tuple(void_ids),
  )
