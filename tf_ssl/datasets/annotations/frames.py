"""The frame of the boxes of an image: upright, or the stored pixels.

A camera stores pixels as its sensor lies, and the turn in the EXIF data. Tools
annotate either the upright picture or the stored pixels; the size that an
annotation gives tells which, because a quarter turn swaps width and height.
"""

from typing import NamedTuple

# Orientations of EXIF whose upright pixels are the stored ones transposed, and
# then mirrored; see `ops.orientation`.
_TRANSPOSED = (5, 6, 7, 8)
_MIRRORED_X = (2, 3, 6, 7)
_MIRRORED_Y = (3, 4, 7, 8)
UPRIGHT = 1


class Frame(NamedTuple):
  """Frame of the boxes of an image.

  Attributes:
    size: width and height in pixels that the boxes are clipped to, once they
      are upright.
    orientation: EXIF orientation by which boxes are to be turned, `UPRIGHT` if
      they are upright.
    differs: whether the image has another size than its annotation says.
  """

  size: tuple[int, int]
  orientation: int = UPRIGHT
  differs: bool = False


def find(
  given: tuple[int, int] | None, stored: tuple[int, int], orientation: int
) -> Frame:
  """Compares the size in an annotation with that of the image.

  Args:
    given: width and height in the annotation, pixels; None if it has none.
    stored: width and height of the stored image, pixels.
    orientation: EXIF orientation of the image, 1..8.
  """
  upright = stored[::-1] if orientation in _TRANSPOSED else stored
  if given in (None, upright):
    return Frame(upright)
  if given == stored:
    return Frame(upright, orientation)
  if given == upright[::-1]:  # Height and width, as arrays have them.
    return Frame(upright, differs=True)
  return Frame(given, differs=True)


def turn(
  corners: tuple[float, float, float, float], frame: Frame
) -> tuple[float, float, float, float]:
  """Turns a box of the stored pixels upright.

  Args:
    corners: xmin, ymin, xmax, ymax in the stored image, pixels.
    frame: frame of the boxes.

  Returns:
    xmin, ymin, xmax, ymax in the upright image.
  """
  xmin, ymin, xmax, ymax = corners
  width, height = frame.size
  if frame.orientation in _TRANSPOSED:
    xmin, ymin, xmax, ymax = ymin, xmin, ymax, xmax
  if frame.orientation in _MIRRORED_X:
    xmin, xmax = width - xmax, width - xmin
  if frame.orientation in _MIRRORED_Y:
    ymin, ymax = height - ymax, height - ymin
  return xmin, ymin, xmax, ymax
