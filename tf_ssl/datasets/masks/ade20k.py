"""ADE20K's scene parsing benchmark: 150 classes of things and surroundings.

Zhou et al. 2017, as ADEChallengeData2016 has it: images/SPLIT/NAME.jpg with
annotations/SPLIT/NAME.png, whose value 0 is void and 1 to 150 are classes;
objectInfo150.txt names them.
"""

import os

from tf_ssl.datasets import image_folder, missing
from tf_ssl.datasets.masks import masked_images

NUM_CLASSES = 150
_NAMES_FILE = "objectInfo150.txt"
_EXPECTED = (
  "images/{split}/ and annotations/{split}/, such as ADEChallengeData2016/ "
  "(20,210 images in training, 2,000 in validation). Download "
  "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip "
  "(about 1 GB) and unpack it; or change ADE20K"
)


def read(root: str, *, split: str) -> masked_images.MaskedImages:
  """Pairs the images of one split with their masks.

  Args:
    root: the folder of images/ and annotations/.
    split: "training" or "validation".

  Raises:
    UsageError: there are no such images, or no masks for them.
  """
  root = os.path.expanduser(root)
  images, masks = (
    os.path.join(root, name, split) for name in ("images", "annotations")
  )
  for folder in (images, masks):
    if not os.path.isdir(folder) or image_folder.is_empty(folder):
      raise missing.no_images("ADE20K", folder, _EXPECTED.format(split=split))
  return masked_images.pair(
    image_folder.read(images),
    masks,
    source=f"ADE20K {split}",
    class_ids=tuple(range(1, NUM_CLASSES + 1)),
    class_names=_names(os.path.join(root, _NAMES_FILE)),
    void_ids=(0,),
  )


def _names(file: str) -> tuple[str, ...]:
  """The first name of each class; none where the file is not as expected.

  A header, then Idx, Ratio, Train, Val, Stuff and Name, divided by tabs.
  """
  try:
    with open(file, encoding="utf-8", errors="replace") as stream:
      rows = [line.rstrip("\n").split("\t") for line in stream][1:]
    names = {int(row[0]): row[-1].split(",")[0].strip() for row in rows if row}
  except (OSError, ValueError):
    return ()
  ids = range(1, NUM_CLASSES + 1)
  return tuple(names[i] for i in ids) if set(ids) == set(names) else ()
