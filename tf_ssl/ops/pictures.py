"""Pictures of kinds that TensorFlow does not decode, such as WebP."""

import contextlib
import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

from tf_ssl.ops import exif

# Formats that Pillow recognizes by their first bytes and decodes by itself: no
# EPS, which runs a program, and no TGA, which any bytes may look like.
_FORMATS = (
  "AVIF",
  "BMP",
  "DDS",
  "GIF",
  "JPEG",
  "JPEG2000",
  "MPO",
  "PCX",
  "PNG",
  "PPM",
  "PSD",
  "QOI",
  "SGI",
  "SUN",
  "TIFF",
  "WEBP",
)
_SIXTEEN_BITS = ("PPM", "PNG")  # Formats of which Pillow's mode I has 16 bits.


@contextlib.contextmanager
def opened(file: str | BinaryIO) -> Iterator[Image.Image]:
  """Opens a picture with Pillow, of a format that runs no other program.

  Args:
    file: path, or an open file.

  Raises:
    Exception: the file is damaged or no picture; Pillow raises various errors.
  """
  Image.init()
  formats = [name for name in _FORMATS if name in Image.OPEN]
  with Image.open(file, formats=formats) as image:
    yield image


def sides(encoded: bytes) -> np.ndarray:
  """Reads height and width, [2] int32, of a picture as `decode` returns it.

  Args:
    encoded: content of a file.

  Raises:
    ValueError: the header cannot be read; the message is a short reason.
  """
  try:
    with opened(io.BytesIO(encoded)) as image:
      return np.array(exif.of_image(image).upright[::-1], np.int32)
  except Exception as error:  # Pillow raises various errors.
    raise ValueError(_reason(error)) from error


def decode(encoded: bytes) -> np.ndarray:
  """Decodes the first image of a file to [H, W, 3] uint8, upright.

  Gray is repeated, alpha dropped, and 16 bits are truncated to 8.

  Args:
    encoded: content of a file.

  Raises:
    ValueError: the file is damaged or its pixels are no 8 or 16 bit integers;
      the message is a short reason.
  """
  try:
    with opened(io.BytesIO(encoded)) as image:
      orientation = exif.of_image(image).orientation
      if image.format == "TIFF":
        orientation = exif.UPRIGHT  # Pillow turns it.
      return turned(_rgb(image), orientation)
  except Exception as error:  # Pillow raises various errors.
    raise ValueError(_reason(error)) from error


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Turns stored pixels upright.

  Args:
    pixels: [H, W, ...], pixels as they are stored.
    orientation: EXIF orientation, 1 to 8.
  """
  if orientation in exif.TRANSPOSED:
    pixels = pixels.swapaxes(0, 1)
  if orientation in exif.MIRRORED_Y:
    pixels = pixels[::-1]
  if orientation in exif.MIRRORED_X:
    pixels = pixels[:, ::-1]
  return np.ascontiguousarray(pixels)


def _rgb(image: Image.Image) -> np.ndarray:
  if image.mode.startswith("I;16") or (
    image.mode == "I" and image.format in _SIXTEEN_BITS
  ):
    gray = (np.asarray(image).astype(np.int32) >> 8).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)
  if image.mode in ("I", "F"):
    raise ValueError(f"pixels of 32 bits ({image.mode})")
  return np.asarray(image.convert("RGB"))


def _reason(error: Exception) -> str:
  """One line of ASCII, as errors of TensorFlow can hold it."""
  if isinstance(error, Image.UnidentifiedImageError):
    return "not an image of a known kind"
  text = " ".join(str(error).split()) or type(error).__name__
  text = f"damaged, or of an unsupported kind ({text})"
  return text.encode("ascii", "backslashreplace").decode()[:200]
