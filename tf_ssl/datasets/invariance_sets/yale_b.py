"""Extended Yale B: faces under 64 light directions.

Georghiades, Belhumeur & Kriegman 2001; Lee, Ho & Kriegman 2005. There is one
folder per person, yaleBNN/, with files such as yaleB11_P00A-035E+40.pgm: pose
0, the light 35 degrees to the left and 40 degrees above the camera's axis. The
cropped faces (pose 0 only) and the full images (poses 0 to 8) share this
layout.
"""

import math
import os
import re

from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 128  # The size of ALOI's illumination direction.
_FOLDER = re.compile(r"yaleB\d\d")
_FILE = re.compile(r"_P(\d\d)A([+-]\d{3})E([+-]\d\d)\.pgm")
_URL = "http://vision.ucsd.edu/extyaleb/CroppedYaleBZip/CroppedYale.zip"


def illumination_direction(root: str) -> invariance_sets.InvarianceSets:
  """Each person in one pose is a set; the person is the class.

  Images in ambient light, and those that the dataset marks as bad, are skipped.

  Args:
    root: folder that holds yaleB01/, ...

  Returns:
    The sets; the factor is the angle in degrees between the light and the
    camera's axis, 0 to 180; its targets are the light's unit vector.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  images = invariance_sets.Collector(os.path.expanduser(root))
  for person in missing.list_folder(images.root):
    if not _FOLDER.fullmatch(person):
      continue
    folder = os.path.join(images.root, person)
    for name in missing.list_folder(folder):
      if ".pgm" not in name:  # Such as lists of files.
        continue
      file = f"{person}/{name}"
      match = _FILE.fullmatch(name.removeprefix(person))
      if match:
        pose, azimuth, elevation = map(int, match.groups())
        images.add(
          file,
          set_name=f"{person}, pose {pose}",
          class_name=person,
          value=_from_axis(azimuth, elevation),
          target=_direction(azimuth, elevation),
        )
      elif name.endswith("_Ambient.pgm"):
        images.skip("ambient light", file)
      elif name.endswith(".bad"):
        images.skip("marked as bad by the dataset", file)
      else:
        images.skip("unexpected file name", file)
  return images.build(
    source="Extended Yale B",
    invariance="illumination_direction",
    image_size=IMAGE_SIZE,
    factor=("angle from the camera's axis", "degrees", None),
    expected=(
      "yaleB01/yaleB01_P00A+000E+00.pgm and so on. Download "
      f"{_URL} (2,414 images of 168x192 px, about 80 MB unpacked) and unpack "
      "it; or change YALE_B"
    ),
  )


def _from_axis(azimuth: int, elevation: int) -> float:
  *_, level = _direction(azimuth, elevation)
  return math.degrees(math.acos(max(-1.0, min(1.0, level))))


def _direction(azimuth: int, elevation: int) -> tuple[float, float, float]:
  """Unit vector toward the light: right, up, to the camera."""
  side, rise = math.radians(azimuth), math.radians(elevation)
  return (
    math.sin(side) * math.cos(rise),
    math.sin(rise),
    math.cos(side) * math.cos(rise),
  )
