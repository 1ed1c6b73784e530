"""Fingerprints of images: a perceptual hash, and a small picture.

The hash is OpenCV's pHash: the signs of 8 x 8 low frequencies of the gray image
about their mean. It survives scaling, recompression, changes of color and the
loss of a narrow margin; mirroring by a second hash, of the mirrored image.
"""

import functools
import io
import os
from concurrent import futures
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import progress

SIDE = 16  # Of the small picture, pixels.
_LEAST = 64  # px that the shorter side of a JPEG keeps in a reduced decoding.
_REDUCED = {
  8: cv2.IMREAD_REDUCED_COLOR_8,
  4: cv2.IMREAD_REDUCED_COLOR_4,
  2: cv2.IMREAD_REDUCED_COLOR_2,
}


class Fingerprints(NamedTuple):
  """Fingerprints of those of N images that can be read.

  Attributes:
    index: [M] int64, ascending, numbers of the images in their records.
    hashes: [M] uint64, perceptual hashes.
    mirrored: [M] uint64, hashes of the mirrored images.
    pictures: [M, SIDE, SIDE, 3] uint8, the whole images, RGB.
    problems: reasons by name of the images that cannot be read.
  """

  index: np.ndarray
  hashes: np.ndarray
  mirrored: np.ndarray
  pictures: np.ndarray
  problems: dict[str, str]


def of_records(
  records: records_lib.ImageRecords, *, label: str = "Hashing"
) -> Fingerprints:
  """Reads all images once and takes their fingerprints.

  Args:
    records: images; a record's box is cut out first.
    label: title of the progress bar.
  """
  one = functools.partial(_of_image, records)
  found, problems = [], {}
  with (
    futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    progress.bar(label, total=records.num_images, unit="image") as bar,
  ):
    for i, result in enumerate(pool.map(one, range(records.num_images))):
      if isinstance(result, str):
        problems[records.name(i)] = result
      else:
        found.append((i, *result))
      bar.update()
  index, hashes, mirrored, pictures = (
    zip(*found, strict=True) if found else ((),) * 4
  )
  return Fingerprints(
    np.array(index, np.int64),
    np.array(hashes, np.uint64),
    np.array(mirrored, np.uint64),
    np.array(pictures, np.uint8).reshape(-1, SIDE, SIDE, 3),
    problems,
  )


def of_pixels(image: np.ndarray) -> tuple[np.uint64, np.uint64, np.ndarray]:
  """Fingerprint of one image.

  Args:
    image: [H, W, 3] uint8, RGB.

  Returns:
    Hash, hash of the mirrored image, and picture [SIDE, SIDE, 3] uint8.
  """
  gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
  # Averaged first: OpenCV's own reduction to 32 x 32 skips pixels.
  gray = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA)
  picture = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
  return _hash(gray), _hash(cv2.flip(gray, 1)), picture


def _hash(gray: np.ndarray) -> np.uint64:
  [bits] = cv2.img_hash.pHash(gray)
  return bits.view(np.uint64)[0]


def _of_image(
  records, index: int
) -> tuple[np.uint64, np.uint64, np.ndarray] | str:
  """Fingerprint of an image of the records, or why it cannot be read."""
  box = None if records.boxes is None else records.boxes[index]
  try:
    encoded = loading.read_encoded(records, index)
    image = _decoded(encoded, whole=box is None or box[0] < 0)
    if box is not None and box[0] >= 0:
      xmin, ymin, xmax, ymax = box.tolist()
      image = np.ascontiguousarray(image[ymin:ymax, xmin:xmax])
    return of_pixels(image)
  except Exception:  # Readers raise various errors on damaged files.
    reason = skipped_lib.why_unusable(records, index, box)
    return reason or "could not be read at that time"


def _decoded(encoded: bytes, *, whole: bool) -> np.ndarray:
  """[H, W, 3] uint8; a large JPEG whose whole image is used is reduced."""
  mode = cv2.IMREAD_COLOR
  if whole and encoded.startswith(b"\xff\xd8"):
    with Image.open(io.BytesIO(encoded)) as header:
      least = min(header.size) // _LEAST
    mode = next((m for k, m in _REDUCED.items() if k <= least), mode)
  # OpenCV first, which is several times faster for small images.
  image = cv2.imdecode(np.frombuffer(encoded, np.uint8), mode)
  if image is None:
    return decoding.decode_bytes(encoded)
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
