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
# Kinds whose pixels are turned when they are decoded; a PNG is not.
_KINDS = ("AVIF", "JPEG", "MPO", "TIFF", "WEBP")
_WIDTH, _HEIGHT = 256, 257  # Tags of TIFF.


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
    return of_image(image)


def of_image(image: Image.Image) -> Header:
  """Reads size and orientation of a picture that Pillow opened.

  Raises:
    Exception: the header is damaged; Pillow raises various errors.
  """
  stored, number = image.size, None
  if image.format == "TIFF":  # Some versions of Pillow give the upright size.
    tags = image.tag_v2
    stored, number = (tags[_WIDTH], tags[_HEIGHT]), tags.get(TAG)
  elif image.format in _KINDS:
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    number = exif.get(TAG)
  return Header(stored, number if number in range(1, 9) else UPRIGHT)
