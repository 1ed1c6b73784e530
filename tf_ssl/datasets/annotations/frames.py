"""The frame of the boxes of an image: upright, or the stored pixels.

A camera stores pixels as its sensor lies, and the turn in the EXIF data. Tools
annotate either the upright picture or the stored pixels; the size that an
annotation gives tells which, because a quarter turn swaps width and height.
"""

from typing import NamedTuple

from tf_ssl.ops import exif

_TOLERANCE = 0.02  # Relative deviation of an image's aspect ratio.


class Frame(NamedTuple):
  """Frame of the boxes of an image.

  Attributes:
    size: width and height in pixels that the boxes are clipped to, once they
      are upright.
    orientation: EXIF orientation by which boxes are to be turned; that of
      upright pictures if the boxes are upright.
    differs: whether the image has another size than its annotation says.
    reshaped: whether that size has another aspect ratio, too, so that the image
      is a cropped or stretched copy, to which the boxes do not apply.
  """

  size: tuple[int, int]
  orientation: int = exif.UPRIGHT
  differs: bool = False
  reshaped: bool = False


def find(given: tuple[int, int] | None, header: exif.Header) -> Frame:
  """Compares the size in an annotation with that of the image.

  Args:
    given: width and height in the annotation, pixels; None if it has none.
    header: header of the image.
  """
  upright = header.upright
  if given in (None, upright):
    return Frame(upright)
  if given == header.stored:
    return Frame(upright, header.orientation)
  if given == upright[::-1]:  # Height and width, as arrays have them.
    return Frame(upright, differs=True)
  return Frame(given, differs=True, reshaped=not is_rescaled(upright, given))


def is_rescaled(size: tuple[int, int], given: tuple[int, int]) -> bool:
  """Whether an image has the aspect ratio that its annotation says.

  Args:
    size: width and height of the image, pixels, which may be rounded.
    given: width and height in the annotation, pixels.
  """
  difference = abs(size[0] * given[1] - size[1] * given[0])
  return difference <= max(_TOLERANCE * size[1] * given[0], *given)


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
  if frame.orientation in exif.TRANSPOSED:
    xmin, ymin, xmax, ymax = ymin, xmin, ymax, xmax
  if frame.orientation in exif.MIRRORED_X:
    xmin, xmax = width - xmax, width - xmin
  if frame.orientation in exif.MIRRORED_Y:
    ymin, ymax = height - ymax, height - ymin
  return xmin, ymin, xmax, ymax
