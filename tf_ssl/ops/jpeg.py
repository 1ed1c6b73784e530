"""Frames as JPEG, the one way that they are kept."""

import cv2
import numpy as np

QUALITY = 95  # of 100: hardly to be told from what was decoded


def encode(image: np.ndarray, quality: int = QUALITY) -> bytes:
  """[H, W, 3] uint8, RGB -> the bytes of a JPEG file.

  Args:
    image: the frame.
    quality: 0..100.

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
  """The bytes of a JPEG file -> [H, W, 3] uint8, RGB.

  Raises:
    ValueError: they are no picture.
  """
  image = None
  if encoded:
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  if image is None:
    raise ValueError(f"{len(encoded)} bytes that are no JPEG picture")
  return image[..., ::-1]
