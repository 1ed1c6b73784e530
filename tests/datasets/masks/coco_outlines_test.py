"""Segmentations of COCO's format as pixels, exact and malformed."""

import sys

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tf_ssl.datasets.masks import coco_outlines

_GIVEN = (20, 10)
_RECTANGLE = [2, 3, 7, 3, 7, 9, 2, 9]


def drawn(segmentation, size=_GIVEN, given=_GIVEN):
  return coco_outlines.pixels([coco_outlines.rle(segmentation, given, size)])


def rectangle(x0, y0, x1, y1, size=_GIVEN):
  expected = np.zeros(size[::-1], np.uint8)
  expected[y0:y1, x0:x1] = 1
  return expected


def slow_counts(text):
  """Counts of COCO's compressed text, one character after the other."""
  counts, bits, shift = [], 0, 0
  for character in text:
    code = ord(character) - 48
    bits += (code % 32) * 2**shift
    shift += 5
    if code < 32:
      if code >= 16:
        bits -= 2**shift
      if len(counts) > 2:
        bits += counts[-2]
      counts.append(bits)
      bits, shift = 0, 0
  return counts


def slow_bitmap(counts, height, width):
  """Bitmap of run lengths, one pixel after the other."""
  bitmap = np.zeros([height, width], np.uint8)
  place, value = 0, 0
  for count in counts:
    for _ in range(count):
      bitmap[place % height, place // height] = value
      place += 1
    value = 1 - value
  assert place == height * width
  return bitmap


def test_a_polygon_of_a_rectangle_is_that_rectangle():
  np.testing.assert_array_equal(drawn([_RECTANGLE]), rectangle(2, 3, 7, 9))


def test_polygons_are_united_and_points_and_lines_add_nothing():
  parts = [_RECTANGLE, ["9", "1", 12.0, 1, 12, 4, 9, 4], [15, 5], [1, 1, 9, 9]]
  expected = rectangle(2, 3, 7, 9) | rectangle(9, 1, 12, 4)
  np.testing.assert_array_equal(drawn(parts), expected)


def test_a_polygon_is_cut_at_the_border():
  found = drawn([[-5, 3, 7, 3, 7, 18, -5, 18]])
  np.testing.assert_array_equal(found, rectangle(0, 3, 7, 10))


@pytest.mark.parametrize("size", [(40, 20), (10, 5)])
def test_outlines_scale_with_the_image(size):
  polygon = [2, 4, 8, 4, 8, 8, 2, 8]
  corners = [side * size[0] // 20 for side in (2, 4, 8, 8)]
  expected = rectangle(*corners, size)
  np.testing.assert_array_equal(drawn([polygon], size), expected)
  counts = coco_mask.encode(np.asfortranarray(rectangle(2, 4, 8, 8)))["counts"]
  for form in (counts.decode(), slow_counts(counts.decode())):
    found = drawn({"size": [10, 20], "counts": form}, size)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_run_lengths_are_read_as_a_slow_decoder_reads_them(share):
  rng = np.random.default_rng(0)
  for height, width in ((1, 1), (7, 5), (64, 3), (300, 400)):
    bitmap = (rng.random([height, width]) < share).astype(np.uint8)
    if height == 300:
      bitmap[:, 50:350] = 1  # Runs of five and more digits.
    bitmap[-1, -1] = 1
    text = coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()
    counts = slow_counts(text)
    np.testing.assert_array_equal(slow_bitmap(counts, height, width), bitmap)
    for form in (text, counts, [str(count) for count in counts]):
      found = drawn(
        {"size": [height, width], "counts": form},
        (width, height),
        (width, height),
      )
      np.testing.assert_array_equal(found, bitmap)


_RLE = {"size": [10, 20], "counts": [50, 30, 120]}
_HUGE = {"size": [2**20, 2**20], "counts": [0, 2**40]}


@pytest.mark.parametrize(
  "segmentation, given, reason",
  [
    ("M0", _GIVEN, "neither polygons nor an RLE"),
    (_RECTANGLE, _GIVEN, "neither polygons nor an RLE"),
    ([_RLE], _GIVEN, "neither polygons nor an RLE"),
    ([_RECTANGLE[:-1]], _GIVEN, "odd number"),
    ([[]], _GIVEN, "fewer than 3 points"),
    ([[1, 2, 8, 9]], _GIVEN, "fewer than 3 points"),
    ([[2, 3, 7, 3, 7, float("nan")]], _GIVEN, "finite"),
    ([[2, 3, 7, 3, 7, float("inf")]], _GIVEN, "finite"),
    ([[2, 3, 7, 3, 7, 10**400]], _GIVEN, "finite"),
    ([[2, 3, 7, 3, 7, None]], _GIVEN, "finite"),
    ([[2, 3, 7, 3, 7, True]], _GIVEN, "finite"),
    ([[[2, 3], [7, 3], [7, 9], [2, 9], [2, 3], [2, 3]]], _GIVEN, "finite"),
    ([[2, 3, 7, 3, 7, 1e300]], _GIVEN, "far outside"),
    ([[2, 3, 7, 3, 7, 9, -30, 9]], _GIVEN, "far outside"),
    ([[0.1, 0.2, 0.9, 0.2, 0.9, 0.8]], _GIVEN, "first pixel"),
    ([[21, 3, 25, 3, 25, 9, 21, 9]], _GIVEN, "covers no pixel"),
    ([[2, 3, 5, 3, 9, 3]], _GIVEN, "covers no pixel"),
    ([[0, 0, 5000, 5000] * 1000], (5000, 5000), "longer than"),
    ({**_RLE, "size": [20, 10]}, _GIVEN, "another size"),
    ({**_RLE, "size": None}, _GIVEN, "another size"),
    ({"counts": [200]}, _GIVEN, "another size"),
    ({**_RLE, "size": [10, float("nan")]}, _GIVEN, "another size"),
    (_HUGE, (2**20, 2**20), "more than 134,217,728 px"),
    ({**_RLE, "counts": [50, 30, 121]}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": [50, 30]}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": [50, -30, 180]}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": [50, 2**63, 10]}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": [50, 2**32, 150]}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": [50, 0.5, 149.5]}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": []}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": None}, _GIVEN, "cannot be read"),
    ({**_RLE, "counts": ""}, _GIVEN, "cannot be read"),
    ({**_RLE, "counts": "0P"}, _GIVEN, "cannot be read"),  # Ends in a number.
    ({**_RLE, "counts": "PPPPPPPP0"}, _GIVEN, "cannot be read"),
    ({**_RLE, "counts": "é"}, _GIVEN, "cannot be read"),
    ({**_RLE, "counts": "ooooooO"}, _GIVEN, "not those of its size"),
    ({**_RLE, "counts": [200]}, _GIVEN, "covers no pixel"),
  ],
)
def test_what_is_malformed_is_named_and_never_drawn(
  segmentation, given, reason
):
  with pytest.raises(ValueError, match=reason):
    coco_outlines.rle(segmentation, given, given)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
