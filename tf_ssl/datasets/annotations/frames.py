"""The frame of the boxes of an image: upright, or the stored pixels.

A camera stores pixels as its sensor lies, and the turn in the EXIF data. Tools
annotate either the upright picture or the stored pixels; the size that an
annotation gives tells which, because a quarter turn swaps width and height.
"""

from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import NamedTuple

import numpy as np

from tf_ssl.ops import exif, progress

_TOLERANCE = 0.02  # Relative deviation of an image's aspect ratio.
_THREADS = 8  # That read headers, which wait for the disk.
_MANY = 5000  # Images whose headers take long enough for a progress bar.


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


def turn_all(
  fractions: np.ndarray, image_index: np.ndarray, frames: Sequence[Frame]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Turns boxes of the stored pixels upright, given as fractions.

  Args:
    fractions: [M, 4] float64, xmin, ymin, xmax, ymax as fractions of the stored
      width and height.
    image_index: [M] int, index of the image of each box.
    frames: frame of each image.

  Returns:
    [M, 4] boxes in stored pixels, [M, 4] boxes in upright pixels, and [M, 2]
    width and height of the upright image of each box.
  """
  sizes = np.array([f.size for f in frames], np.float64).reshape(-1, 2)
  sizes = sizes[image_index]
  orientations = np.array([f.orientation for f in frames], int)[image_index]
  transposed = np.isin(orientations, exif.TRANSPOSED)[:, None]
  corners = fractions * np.tile(np.where(transposed, sizes[:, ::-1], sizes), 2)
  turned = corners.copy()
  for orientation in set(np.unique(orientations).tolist()) - {exif.UPRIGHT}:
    rows = np.flatnonzero(orientations == orientation)
    frame = Frame(tuple(sizes[rows].T), orientation)
    turned[rows] = np.stack(turn(tuple(corners[rows].T), frame), axis=1)
  return corners, turned, sizes


def read_header(path: str) -> exif.Header | None:
  """Returns the header of an image; None if it is no image."""
  try:
    return exif.read_header(path)
  except Exception:  # Pillow raises various errors on damaged files.
    return None


def read_headers(paths: Sequence[str]) -> Iterator[exif.Header | None]:
  """Yields the header of each image, or None, behind a progress bar."""
  with (
    futures.ThreadPoolExecutor(_THREADS) as pool,
    progress.bar(
      "Checking sizes",
      total=len(paths),
      unit="image",
      disable=len(paths) < _MANY,
    ) as bar,
  ):
    for header in pool.map(read_header, paths):
      yield header
      bar.update()
