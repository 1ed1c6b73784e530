"""The orientation in the EXIF data of photographs, read without TensorFlow.

A camera stores pixels as its sensor lies, and the turn as the tag Orientation
(CIPA DC-008, tag 0x0112): a number from 1 to 8. Upright pixels are the stored
ones, transposed for `TRANSPOSED`, and then mirrored.
"""

from typing import NamedTuple

from PIL import Image

TAG = 0x0112
UPRIGHT = 1
TRANSPOSED = (5, 6, 7, 8)
MIRRORED_Y = (3, 4, 7, 8)
MIRRORED_X = (2, 3, 6, 7)
_KINDS = ("JPEG", "MPO")  # Whose pixels are turned when they are decoded.


class Header(NamedTuple):
  """What the header of a picture says.

  Attributes:
    stored: width and height of the stored picture, pixels.
    orientation: number from 1 to 8.
  """

  stored: tuple[int, int]
  orientation: int = UPRIGHT

  @property
  def upright(self) -> tuple[int, int]:
    """Width and height of the picture as it is decoded, pixels."""
    if self.orientation in TRANSPOSED:
      return self.stored[::-1]
    return self.stored


def read_header(file: str) -> Header:
  """Reads size and orientation of a picture.

  Args:
    file: path of a picture.

  Raises:
    Exception: the file cannot be read; Pillow raises various errors.
  """
  with Image.open(file) as image:
    number = None
    if image.format in _KINDS:
      exif = Image.Exif()
      exif.load(image.info.get("exif", b""))
      number = exif.get(TAG)
    return Header(image.size, number if number in range(1, 9) else UPRIGHT)
