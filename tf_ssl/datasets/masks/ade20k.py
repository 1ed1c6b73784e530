"""ADE20K's scene parsing benchmark: 150 classes of objects and surroundings.

Zhou et al. 2017, in the layout of ADEChallengeData2016: images/SPLIT/NAME.jpg
with annotations/SPLIT/NAME.png, where value 0 is void and 1 to 150 are classes,
named in objectInfo150.txt.
"""

import os

from tf_ssl.datasets.masks import masked_images

NUM_CLASSES = 150
_NAMES_FILE = "objectInfo150.txt"
_EXPECTED = (
  "images/{split}/ and annotations/{split}/, such as ADEChallengeData2016/"
  " (20,210 images in training, 2,000 in validation). Download"
  " http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip"
  " (about 1 GB) and unpack it; or change ADE20K"
)


def read(root: str, *, split: str) -> masked_images.MaskedImages:
  """Pairs the images of one split with their masks.

  Args:
    root: folder that holds images/ and annotations/.
    split: "training" or "validation".

  Raises:
    UsageError: there are no images or no masks, with where to get them.
  """
  root = os.path.expanduser(root)
  return masked_images.read_split(
    "ADE20K",
    split,
    os.path.join(root, "images", split),
    os.path.join(root, "annotations", split),
    _EXPECTED.format(split=split),
    class_ids=tuple(range(1, NUM_CLASSES + 1)),
    class_names=_names(os.path.join(root, _NAMES_FILE)),
    void_ids=(0,),
  )


def _names(file: str) -> tuple[str, ...]:
  """Returns the first name of each class; none if the file is malformed.

  The file has a header and tab-separated columns Idx, Ratio, Train, Val, Stuff
  and Name.
  """
  try:
    with open(file, encoding="utf-8", errors="replace") as stream:
      rows = [line.rstrip("\n").split("\t") for line in stream][1:]
    names = {int(row[0]): row[-1].split(",")[0].strip() for row in rows if row}
  except (OSError, ValueError):
    return ()
  ids = range(1, NUM_CLASSES + 1)
  return tuple(names[i] for i in ids) if set(ids) == set(names) else ()
