"""JPEG encoding and decoding of stored frames."""

import cv2
import numpy as np

QUALITY = 95  # Of 100: differences are hardly visible.


def encode(image: np.ndarray, quality: int = QUALITY) -> bytes:
  """Encodes an image as a JPEG file.

  Args:
    image: [H, W, 3] uint8, RGB.
    quality: JPEG quality, 0..100.

  Raises:
    ValueError: the image is empty, or too large for the format.
  """
  parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
  try:
    done, data = cv2.imencode(".jpg", image[..., ::-1], parameters)
  except cv2.error:
    done = False
  if not done:
    raise ValueError(f"an image of {image.shape} cannot be encoded as JPEG")
  return data.tobytes()


def decode(encoded: bytes) -> np.ndarray:
  """Decodes a JPEG file to [H, W, 3] uint8, RGB.

  Raises:
    ValueError: the bytes are not an image.
  """
  image = None
  if encoded:
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  if image is None:
    raise ValueError(f"{len(encoded)} bytes that are not a JPEG image")
  return image[..., ::-1]
