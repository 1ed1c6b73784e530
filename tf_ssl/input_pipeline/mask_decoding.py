"""Decodes masks: images with a class id for each pixel."""

import io

import numpy as np

from tf_ssl.ops import pictures

# Pillow's modes with one number per pixel: 1, 8, 16 and 32 bits, and 8 bits
# that index a palette, whose colors do not matter for masks.
_MASK_MODES = ("1", "L", "P", "I;16", "I;16B", "I")
_LOSSY = ("AVIF", "JPEG", "JPEG2000", "MPO", "WEBP")
_LARGEST_ID = 2**16 - 1


def decode(encoded: bytes) -> np.ndarray:
  """Decodes the class ids of a mask with Pillow.

  TensorFlow would look up the colors of a palette.

  Args:
    encoded: content of a PNG, BMP or other lossless file.

  Returns:
    [H, W] int32, 0..65,535.

  Raises:
    ValueError: the file is damaged, in color, or of a lossy format; the message
      is a short reason.
  """
  if not encoded:
    raise ValueError("the mask is an empty file")
  try:
    with pictures.opened(io.BytesIO(encoded)) as picture:
      kind, mode = picture.format, picture.mode
      if kind not in _LOSSY and mode in _MASK_MODES:
        values = np.asarray(picture).astype(np.int32)
  except Exception as error:  # Pillow raises various errors on damaged files.
    raise ValueError(f"the mask cannot be decoded ({error})") from error
  if kind in _LOSSY:
    raise ValueError(f"the mask is a {kind}, which does not keep ids exactly")
  if mode not in _MASK_MODES:
    raise ValueError(
      f"the mask is a color image ({mode}), expected one class id per pixel"
    )
  if values.size and not 0 <= values.min() <= values.max() <= _LARGEST_ID:
    raise ValueError(f"the mask has values outside 0..{_LARGEST_ID}")
  return values
