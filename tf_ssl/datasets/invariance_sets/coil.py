"""COIL-20 and COIL-100: objects on a turntable, in steps of 5 degrees.

Nene, Nayar & Murase 1996. All images are in one folder as objK__I.png. In
COIL-20, I is the number of the view, 0 to 71; in COIL-100, the angle in
degrees, 0 to 355.
"""

import os
import re

from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 128  # Size of the files.
_VIEWS, _STEP = 72, 5
_FILE = re.compile(r"obj(\d{1,3})__(\d{1,3})\.png")
_URL = "https://www.cs.columbia.edu/CAVE/databases/SLAM_coil-20_coil-100/"


def viewpoint(root: str) -> invariance_sets.InvarianceSets:
  """All views of each object, which is both set and class.

  Args:
    root: folder of the images.

  Returns:
    The sets; the factor is the angle of the turntable in degrees.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  images = invariance_sets.Collector(os.path.expanduser(root))
  found = []
  for name in missing.list_folder(images.root):
    match = _FILE.fullmatch(name)
    if match:
      found.append((int(match[1]), int(match[2]), name))
    elif name.endswith(".png"):
      images.skip("unexpected file name", name)
  degrees = any(view >= _VIEWS for _, view, _ in found)
  for number, view, name in sorted(found):
    images.add(
      name,
      set_name=f"obj{number}",
      class_name=f"obj{number}",
      value=view if degrees else view * _STEP,
    )
  return images.build(
    source="COIL-100" if degrees else "COIL-20",
    invariance="viewpoint",
    image_size=IMAGE_SIZE,
    factor=("angle", "degrees", 360.0),
    expected=(
      "obj1__0.png and so on. Download "
      f"{_URL}coil-20/coil-20-proc.zip (12 MB) or "
      f"{_URL}coil-100/coil-100.zip (125 MB) and unpack it; or change COIL"
    ),
  )
