"""ALOI, 1,000 objects on a turntable and under different lights.

Geusebroek, Burghouts & Smeulders 2005. One folder per object, 1 to 1000, in

    ALOI_viewpoint/1/1_r35.png      turned by 35 degrees, in steps of 5
    ALOI_illumdir/1/1_l3c2.png      light number 3 (of 8), camera 2 (of 3)
    ALOI_illumcolor/1/1_i110.png    lamp setting 110 (reddish) to 250 (white)

the folders that Purushwalkam & Gupta 2020 use: a set is all images of an
object, which is also its class; whole images at 128 px.
"""

import math
import os
import re
from typing import NamedTuple

from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 128  # Purushwalkam & Gupta's code.
NUM_OBJECTS = 1000
_SOURCE = "ALOI"


class _Part(NamedTuple):
  """One third of the data: where it is, what changes, where to get it."""

  folder: str
  invariance: str
  file: re.Pattern  # after the number of the object
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
# Lights and cameras are numbered, not measured: 6, 7, 8 are several lamps.
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
  """The views of every object; the factor is the angle of the turntable.

  Args:
    root: the folder that holds ALOI_viewpoint/.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  return _read(root, _VIEWPOINT)


def illumination_direction(root: str) -> invariance_sets.InvarianceSets:
  """Every object lit from different sides; the factor has no values.

  Args:
    root: the folder that holds ALOI_illumdir/.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  return _read(root, _ILLUMINATION_DIRECTION)


def illumination_colour(root: str) -> invariance_sets.InvarianceSets:
  """Every object in light of different colors; the factor orders them.

  Args:
    root: the folder that holds ALOI_illumcolor/.

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
        images.skip("not a name of ALOI's", f"{folder}/{name}")
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
      f"{part.folder}/1/1_*.png to {part.folder}/{NUM_OBJECTS}/: "
      f"{part.count:,} images of 384x288 px. Download "
      f"http://aloi.science.uva.nl/tars/{part.tar}, unpack it there and rename "
      f"its folder png2 to {part.folder}; or change ALOI"
    ),
  )
