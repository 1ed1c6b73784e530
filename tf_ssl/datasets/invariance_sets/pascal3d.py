"""PASCAL3D+: objects of 12 categories with their viewpoint.

Xiang, Mottaghi & Savarese 2014, in its own layout:

    Image_sets/CLASS_imagenet_train.txt     names of images, one per line
    Image_sets/CLASS_imagenet_val.txt
    Image_sets/CLASS_pascal.txt             each with the number of an object
    Images/CLASS_imagenet/NAME.JPEG         Images/CLASS_pascal/NAME.jpg
    Annotations/CLASS_imagenet/NAME.mat     Annotations/CLASS_pascal/NAME.mat

Sets are those of the code of Purushwalkam & Gupta 2020: crops of boxes at 224
px, object numbers from 0, the first object of each ImageNet image. Unlike
there, each box of a file with several boxes is an image of its own.
"""

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.io

from tf_ssl import errors
from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 224
_SOURCE = "PASCAL3D+"
_BIN = 30  # Degrees.
_LISTS = ("imagenet_train", "imagenet_val", "pascal")
_EXPECTED = (
  "Image_sets/, Images/ and Annotations/ of release 1.1. Download "
  "ftp://cs.stanford.edu/cs/cvgl/PASCAL3D+_release1.1.zip (several GB; see "
  "https://cvgl.stanford.edu/projects/pascal3d.html) and unpack it; or change "
  "PASCAL3D"
)


class _Object(NamedTuple):
  """One box.

  Attributes:
    file: path of the image.
    category: name of the category.
    box: xmin, ymin, xmax, ymax in pixels, maxima exclusive.
    azimuth: viewpoint, degrees.
    elevation: viewpoint, degrees.
  """

  file: str
  category: str
  box: tuple[int, int, int, int]
  azimuth: float
  elevation: float


def instance(root: str) -> invariance_sets.InvarianceSets:
  """Sets of objects of one category from a similar viewpoint.

  A set is a category, a range of azimuth (30 degrees, modulo 180, so that front
  and back share a set) and a range of elevation (30 degrees, modulo 90). The
  class is the category.

  Args:
    root: folder that holds Image_sets/, Images/ and Annotations/.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  images = invariance_sets.Collector(os.path.expanduser(root))
  for found in _objects(images):
    azimuth, elevation = _azimuth_bin(found), int(found.elevation % 90 // _BIN)
    images.add(
      found.file,
      set_name=(
        f"{found.category}, azimuth {_range(azimuth)}, elevation "
        f"{_range(elevation)}"
      ),
      class_name=found.category,
      box=found.box,
    )
  return images.build(
    source=_SOURCE,
    invariance="instance",
    image_size=IMAGE_SIZE,
    expected=_EXPECTED,
  )


def instance_viewpoint(root: str) -> invariance_sets.InvarianceSets:
  """Sets of objects of one category from different viewpoints.

  Set j of a category holds the j-th image of each of the 6 ranges of azimuth of
  `instance`; it has fewer images if a range has fewer than j.

  Args:
    root: folder that holds Image_sets/, Images/ and Annotations/.

  Returns:
    The sets; the factor is the azimuth.

  Raises:
    UsageError: there are no such images; says where to get them.
  """
  images = invariance_sets.Collector(os.path.expanduser(root))
  counts: dict[tuple[str, int], int] = {}
  for found in _objects(images):
    place = found.category, _azimuth_bin(found)
    number = counts[place] = counts.get(place, 0) + 1
    images.add(
      found.file,
      set_name=f"{found.category} {number}",
      class_name=found.category,
      value=found.azimuth,
      box=found.box,
    )
  return images.build(
    source=_SOURCE,
    invariance="instance_viewpoint",
    image_size=IMAGE_SIZE,
    factor=("azimuth", "degrees", 360.0),
    expected=_EXPECTED,
  )


def _azimuth_bin(found: _Object) -> int:
  return int(found.azimuth % 180 // _BIN)


def _range(number: int) -> str:
  return f"{number * _BIN}-{(number + 1) * _BIN}"


def _objects(images: invariance_sets.Collector) -> Iterator[_Object]:
  """Yields the usable objects, by category."""
  for category in _categories(images.root):
    for name in _LISTS:
      for words in _entries(images.root, f"{category}_{name}"):
        origin = f"{category}_{name.split('_')[0]}"
        extension = "jpg" if name == "pascal" else "JPEG"
        where = f"{origin}/{words[0]}"
        try:
          number = _number(words, numbered=name == "pascal")
          yield _read(
            images.root, where, f"Images/{where}.{extension}", category, number
          )
        except ValueError as error:
          images.skip(str(error), " ".join((where, *words[1:])))


def _categories(root: str) -> list[str]:
  end = f"_{_LISTS[0]}.txt"
  names = missing.list_folder(os.path.join(root, "Image_sets"))
  return [name.removesuffix(end) for name in names if name.endswith(end)]


def _entries(root: str, name: str) -> Iterator[list[str]]:
  """Yields the words of each line of a list of images that is not blank."""
  file = os.path.join(root, "Image_sets", f"{name}.txt")
  try:
    with open(file, encoding="utf-8", errors="surrogateescape") as stream:
      yield from filter(None, (line.split() for line in stream))
  except OSError as error:
    raise errors.UsageError(
      f"{_SOURCE}: cannot read {file!r} ({error.strerror}); expected "
      f"{_EXPECTED}"
    ) from error


def _number(words: list[str], *, numbered: bool) -> int:
  """Returns the number of the object, from 0, of a line."""
  if os.path.basename(words[0]) != words[0]:
    raise ValueError("a name with a folder in it")
  if not numbered:
    return 0
  if len(words) != 2 or not words[1].isdecimal():
    raise ValueError("a line that is not a name and a number")
  return int(words[1])


def _read(
  root: str, where: str, file: str, category: str, number: int
) -> _Object:
  """Reads the annotation of one object.

  Raises:
    ValueError: the object cannot be used; the message is the reason.
  """
  path = os.path.join(root, "Annotations", f"{where}.mat")
  try:
    record = scipy.io.loadmat(path, struct_as_record=False)["record"]
    objects = np.ravel(record)[0].objects
    found = np.ravel(objects)
  except FileNotFoundError as error:
    raise ValueError("no annotation") from error
  except Exception as error:  # SciPy raises various errors on damaged files.
    raise ValueError("an unreadable annotation") from error
  if number >= len(found):
    raise ValueError("an annotation without this object")
  named = np.ravel(getattr(found[number], "class", category)).tolist()
  if named and named[0] != category:
    raise ValueError("an object of another category")
  box = None
  sides = _floats(getattr(found[number], "bbox", ()))
  if len(sides) == 4:
    box = invariance_sets.pixel_box(*sides)
  if box is None:
    raise ValueError("an object without a box")
  viewpoint = np.ravel(getattr(found[number], "viewpoint", ()))
  angles = [
    _floats(getattr(viewpoint[0], name, ())) if len(viewpoint) else []
    for name in ("azimuth_coarse", "elevation_coarse")
  ]
  if any(len(a) != 1 or not math.isfinite(a[0]) for a in angles):
    raise ValueError("an object without a viewpoint")
  return _Object(file, category, box, angles[0][0], angles[1][0])


def _floats(values) -> list[float]:
  try:
    return [float(value) for value in np.ravel(values)]
  except (TypeError, ValueError):
    return []
