"""Decoding masks: pictures whose values are ids of classes."""

import io

import numpy as np
from PIL import Image

# Pillow's modes of one number a pixel: 1, 8, 16 and 32 bits, and 8 bits that
# point into a palette, whose colors do not matter here.
_MODES = ("1", "L", "P", "I;16", "I;16B", "I")
_LOSSY = ("JPEG", "WEBP", "JPEG2000")
_LARGEST = 2**16 - 1


def decode(encoded: bytes) -> np.ndarray:
  """Decodes a mask; TensorFlow would look up a palette's colors.

  Args:
    encoded: PNG, BMP or another format without loss.

  Returns:
    [H, W] int32, 0 to 65,535.

  Raises:
    ValueError: it is damaged, of colors, or of a format that changes values;
      says so in a few words.
  """
  if not encoded:
    raise ValueError("the mask is an empty file")
  try:
    with Image.open(io.BytesIO(encoded)) as picture:
      kind, mode = picture.format, picture.mode
      if kind not in _LOSSY and mode in _MODES:
        values = np.asarray(picture).astype(np.int32)
  except Exception as error:  # whatever a decoder raises on damaged bytes
    raise ValueError(f"the mask cannot be decoded ({error})") from error
  if kind in _LOSSY:
    raise ValueError(f"the mask is a {kind}, which does not keep ids exactly")
  if mode not in _MODES:
    raise ValueError(
      f"the mask is a picture in colors ({mode}), expected the id of a class "
      "in each pixel"
    )
  if values.size and not 0 <= values.min() <= values.max() <= _LARGEST:
    raise ValueError(f"the mask has values that are not 0 to {_LARGEST}")
  return values
