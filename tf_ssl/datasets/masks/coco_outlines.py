"""Segmentations of COCO's format, checked, as pixels of an image.

A segmentation is a list of polygons [x1, y1, x2, y2, ...], or run lengths (RLE)
of the pixels in columns, {size: [height, width], counts}, as numbers or as
COCO's compressed text. The code of pycocotools draws them. It trusts its input:
run lengths beyond the image overwrite memory, and distant points allocate it.
"""

import re
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from tf_ssl.ops import numerals

_MAX_PIXELS = 2**27  # Of an RLE.
_MAX_OUTLINE = 2**22  # Length of the polygons of one object, pixels.
_POINT = 2  # Numbers of a point.
_LINE = 2 * _POINT
# Each number is up to 7 characters of 5 bits; the last one is below "P".
_COMPRESSED = re.compile("(?:[P-o]{0,6}[0-O])+")
_OFFSET, _BITS, _MORE, _SIGN = 48, 5, 32, 16


def rle(
  segmentation: Any, given: tuple[int, int], size: tuple[int, int]
) -> dict[str, Any]:
  """Draws a segmentation.

  Args:
    segmentation: polygons or RLE, as read from JSON.
    given: width and height of the image that it is of, pixels.
    size: width and height to scale it to, pixels.

  Returns:
    RLE of pycocotools, of `size`.

  Raises:
    ValueError: it is malformed, or covers no pixel; the message is a short
      reason.
  """
  if isinstance(segmentation, dict):
    drawn = _of_counts(segmentation, given, size)
  elif isinstance(segmentation, list):
    drawn = _of_polygons(segmentation, given, size)
  else:
    raise ValueError("a segmentation that is neither polygons nor an RLE")
  if not coco_mask.area(drawn):
    raise ValueError("a segmentation that covers no pixel")
  return drawn


def pixels(rles: list[dict[str, Any]]) -> np.ndarray:
  """[H, W] uint8: 1 inside any of some objects of one size, else 0."""
  return coco_mask.decode(coco_mask.merge(rles))


def _of_polygons(
  polygons: list, given: tuple[int, int], size: tuple[int, int]
) -> dict[str, Any]:
  if not all(isinstance(polygon, list) for polygon in polygons):
    raise ValueError("a segmentation that is neither polygons nor an RLE")
  if any(len(polygon) % _POINT for polygon in polygons):
    raise ValueError("a polygon with an odd number of coordinates")
  # Points and lines cover nothing; pycocotools reads four numbers as a box.
  polygons = [polygon for polygon in polygons if len(polygon) > _LINE]
  if not polygons:
    raise ValueError("a polygon with fewer than 3 points")
  numbers = [numerals.number(n) for polygon in polygons for n in polygon]
  if None in numbers or not np.isfinite(numbers).all():
    raise ValueError("a polygon whose coordinates are not finite numbers")
  points = np.array(numbers).reshape(-1, _POINT)
  if points.max() <= 1:  # Fractions of the image in place of pixels.
    raise ValueError("a polygon within the first pixel of its image")
  fractions = points / given
  if fractions.min() < -1 or fractions.max() > 2:
    raise ValueError("a polygon far outside its image")
  points = fractions * size
  if np.abs(np.diff(points, axis=0)).max(1).sum() > _MAX_OUTLINE:
    raise ValueError(f"a polygon longer than {_MAX_OUTLINE:,} px")
  ends = np.cumsum([len(polygon) // _POINT for polygon in polygons])[:-1]
  parts = [part.ravel().tolist() for part in np.split(points, ends)]
  return coco_mask.merge(coco_mask.frPyObjects(parts, *size[::-1]))


def _of_counts(
  segmentation: dict, given: tuple[int, int], size: tuple[int, int]
) -> dict[str, Any]:
  sides, counts = segmentation.get("size"), segmentation.get("counts")
  found = list(map(numerals.whole, sides)) if isinstance(sides, list) else []
  if found != [*given[::-1]]:
    raise ValueError("an RLE of another size than its image")
  total = found[0] * found[1]
  if total > _MAX_PIXELS:
    raise ValueError(f"an RLE of more than {_MAX_PIXELS:,} px")
  if isinstance(counts, str) and _COMPRESSED.fullmatch(counts):
    counts = _decompressed(counts)
  elif isinstance(counts, list):
    counts = list(map(numerals.whole, counts))
  else:
    raise ValueError("an RLE whose counts cannot be read")
  if None in counts or min(counts, default=-1) < 0 or sum(counts) != total:
    raise ValueError("an RLE whose counts are not those of its size")
  drawn = coco_mask.frPyObjects({"size": found, "counts": counts}, *found)
  if size == given:
    return drawn
  scaled = Image.fromarray(coco_mask.decode(drawn)).resize(
    size, Image.Resampling.NEAREST
  )
  return coco_mask.encode(np.asfortranarray(scaled))


def _decompressed(text: str) -> list[int]:
  """Returns the counts in a text that matches `_COMPRESSED`.

  A number has its lowest 5 bits first and a sign. From the fourth on, it is the
  difference to the one before the last.
  """
  codes = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - _OFFSET
  ends = np.flatnonzero(codes < _MORE)
  starts = np.append(0, ends[:-1] + 1)
  lengths = ends + 1 - starts
  place = np.arange(len(codes)) - np.repeat(starts, lengths)
  counts = np.add.reduceat((codes % _MORE) << (_BITS * place), starts)
  negative = (codes[ends] & _SIGN) > 0
  counts[negative] -= 1 << (_BITS * lengths[negative])
  counts[1::2] = np.cumsum(counts[1::2])
  counts[2::2] = np.cumsum(counts[2::2])
  return counts.tolist()
