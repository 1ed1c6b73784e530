"""Tells folders of photographs from folders of the frames of a film.

Both are numbered images. Frames are all of one size and carry no camera in
their EXIF data, and no program that cuts films into frames names them as
cameras name photographs.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import BinaryIO

from PIL import Image

# Cameras (IMG_0001, DSC00001, P1010001; the rule DCF), phones (IMG_20240131_
# 235959, 20240131_235959, PXL_20240131_235959123) and messengers (IMG-20240131-
# WA0001).
_CAMERA_NAME = re.compile(
  r"(?=[0-9_]{0,3}[A-Z])[A-Z0-9_]{4}\d{4}"
  r"|(?:[A-Z]+[_-])?(?:19|20)\d{6}[_-](?:\d{6,9}|WA\d{4})"
)
_CAMERA_TAGS = (0x010F, 0x0110)  # EXIF: make and model.


def reason(
  names: Sequence[str], open_image: Callable[[str], BinaryIO]
) -> str | None:
  """Returns why a series of images are photographs; None if they are frames.

  Only the headers of the first, the middle and the last image are read; those
  that cannot be read tell nothing.

  Args:
    names: [n] names or paths of the files in order, n at least 2.
    open_image: function that opens an image by its name.
  """
  stems = [posixpath.basename(name).rpartition(".")[0] for name in names]
  named = sum(_CAMERA_NAME.fullmatch(stem) is not None for stem in stems)
  if 2 * named > len(names):
    return f"named as cameras name photographs, such as {names[0]!r}"
  sizes = set()
  for name in {names[0], names[len(names) // 2], names[-1]}:
    try:
      with open_image(name) as file, Image.open(file) as image:
        sizes.add(image.size)
        exif = image.getexif()
    except Exception:  # A damaged image; decoding will name it.
      continue
    if any(exif.get(tag) for tag in _CAMERA_TAGS):
      return f"taken by a camera, as the EXIF data of {name!r} say"
  return "of different sizes" if len(sizes) > 1 else None
