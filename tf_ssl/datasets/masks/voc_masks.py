"""PASCAL VOC's segmentation: 20 classes of objects, and background.

Everingham et al. 2010, for example VOC2012: ImageSets/Segmentation/SPLIT.txt
lists names, JPEGImages/NAME.jpg is the image and SegmentationClass/NAME.png its
mask, with a palette. The value 255 marks object borders, which are ignored.
"""

import os
from collections.abc import Sequence

import numpy as np

from tf_ssl.datasets import missing, records
from tf_ssl.datasets.masks import masked_images
from tf_ssl.ops import spelling

CLASSES = tuple(
  "background aeroplane bicycle bird boat bottle bus car cat chair cow "
  "diningtable dog horse motorbike person pottedplant sheep sofa train "
  "tvmonitor".split()
)
_VOID = 255
_EXPECTED = (
  "ImageSets/Segmentation/{split}.txt, JPEGImages/ and SegmentationClass/,"
  " such as VOCdevkit/VOC2012/ (1,464 images in train, 1,449 in val). Download"
  " http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
  "VOCtrainval_11-May-2012.tar (2 GB) and unpack it; or change VOC"
)


def read(root: str, *, split: str) -> masked_images.MaskedImages:
  """Pairs the images of a list with their masks, in its order.

  Args:
    root: folder that holds JPEGImages/, such as VOCdevkit/VOC2012.
    split: "train", "val", "trainval", or the name of another list.

  Raises:
    UsageError: the list is missing, or none of its images has a mask; the
      message says where to get them.
  """
  root = os.path.abspath(os.path.expanduser(root))
  listed = os.path.join(root, "ImageSets", "Segmentation", f"{split}.txt")
  expected = _EXPECTED.format(split=split)
  try:
    with open(listed, encoding="utf-8", errors="surrogateescape") as stream:
      names = [line.strip() for line in stream if line.strip()]
  except OSError as error:
    raise missing.no_images("VOC", listed, expected) from error
  pairs, skipped = [], {}
  for name in names:
    listed = (f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png")
    files = tuple(spelling.on_disk(root, file) for file in listed)
    sizes = [_size(os.path.join(root, file)) for file in files]
    if None in sizes:
      skipped[files[0]] = ("no such image", "no mask")[sizes.index(None)]
    else:
      pairs.append((*files, *sizes))
  if not pairs:
    reasons = {
      reason: [n for n in skipped if skipped[n] == reason]
      for reason in {*skipped.values()}
    }
    raise missing.no_images("VOC", root, expected, reasons)
  images, masks, image_sizes, mask_sizes = zip(*pairs, strict=True)
  return masked_images.MaskedImages(
    _records(root, images, image_sizes),
    _records(root, masks, mask_sizes),
    source=f"VOC segmentation {split}",
    class_ids=tuple(range(len(CLASSES))),
    class_names=CLASSES,
    void_ids=(_VOID,),
    skipped=skipped,
  )


def _size(path: str) -> int | None:
  try:
    return os.stat(path).st_size
  except (OSError, ValueError):  # ValueError: a null character.
    return None


def _records(
  root: str, files: Sequence[str], sizes: Sequence[int]
) -> records.ImageRecords:
  return records.ImageRecords(
    root,
    np.array([os.fsencode(file) for file in files]),
    np.array(sizes, np.int64),
  )
