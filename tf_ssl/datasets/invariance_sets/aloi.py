"""ALOI: 1,000 objects on a turntable and under different lights.

Geusebroek, Burghouts & Smeulders 2005. There is one folder per object, 1 to
1000, in

    ALOI_viewpoint/1/1_r35.png      turned by 35 degrees, in steps of 5
    ALOI_illumdir/1/1_l3c2.png      light number 3 (of 8), camera 2 (of 3)
    ALOI_illumcolor/1/1_i110.png    lamp setting 110 (reddish) to 250 (white)

the folders that Purushwalkam & Gupta 2020 use. A set is all images of an
object, which is also its class; full images at 128 px.
"""

import math
import os
import re
from typing import NamedTuple

from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 128  # From the code of Purushwalkam & Gupta 2020.
NUM_OBJECTS = 1000
_SOURCE = "ALOI"


class _Part(NamedTuple):
  """One of the three parts of the data.

  Attributes:
    folder: name of its folder.
    invariance: name of its invariance.
    file: pattern of file names, after the number of the object.
    factor: name, unit and period of the factor.
    tar: name of the archive to download.
    count: number of images.
  """

  folder: str
  invariance: str
  file: re.Pattern
  factor: tuple[str, str, float | None]
  tar: str
  count: int


_VIEWPOINT = _Part(
  "ALOI_viewpoint",
  "viewpoint",
  re.compile(r"_r(\d{1,3})\.png"),
  ("angle", "degrees", 360.0),
  "aloi_red2_view.tar",
  72000,
)
# Lights and cameras have numbers without angles: 6, 7, 8 are several lamps.
_ILLUMINATION_DIRECTION = _Part(
  "ALOI_illumdir",
  "illumination_direction",
  re.compile(r"_l(\d)c(\d)\.png"),
  ("", "", None),
  "aloi_red2_ill.tar",
  24000,
)
_ILLUMINATION_COLOR = _Part(
  "ALOI_illumcolor",
  "illumination_colour",
  re.compile(r"_i(\d{1,3})\.png"),
  ("lamp setting", "", None),
  "aloi_red2_col.tar",
  12000,
)


def viewpoint(root: str) -> invariance_sets.InvarianceSets:
  """All views of each object; the factor is the angle of the turntable.

  Args:
    root: folder that holds ALOI_viewpoint/.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  return _read(root, _VIEWPOINT)


def illumination_direction(root: str) -> invariance_sets.InvarianceSets:
  """Each object lit from different sides; the factor has no values.

  Args:
    root: folder that holds ALOI_illumdir/.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  return _read(root, _ILLUMINATION_DIRECTION)


def illumination_colour(root: str) -> invariance_sets.InvarianceSets:
  """Each object in light of different colors; the factor is ordinal.

  Args:
    root: folder that holds ALOI_illumcolor/.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  return _read(root, _ILLUMINATION_COLOR)


def _read(root: str, part: _Part) -> invariance_sets.InvarianceSets:
  images = invariance_sets.Collector(os.path.expanduser(root))
  for number in range(1, NUM_OBJECTS + 1):
    folder = f"{part.folder}/{number}"
    found = []
    for name in missing.list_folder(os.path.join(images.root, folder)):
      start, rest = name[: len(str(number))], name[len(str(number)) :]
      match = part.file.fullmatch(rest)
      if start != str(number) or not match:
        images.skip("unexpected file name", f"{folder}/{name}")
      else:
        found.append((tuple(map(int, match.groups())), name))
    for values, name in sorted(found):
      images.add(
        f"{folder}/{name}",
        set_name=str(number),
        class_name=str(number),
        value=values[0] if part.factor[0] else math.nan,
      )
  return images.build(
    source=_SOURCE,
    invariance=part.invariance,
    image_size=IMAGE_SIZE,
    factor=part.factor,
    expected=(
      f"{part.folder}/1/1_*.png to {part.folder}/{NUM_OBJECTS}/:"
      f" {part.count:,} images of 384x288 px. Download"
      f" http://aloi.science.uva.nl/tars/{part.tar}, unpack it and rename its"
      f" folder png2 to {part.folder}; or change ALOI"
    ),
  )
