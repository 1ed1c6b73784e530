"""Tests of tf_ssl.datasets.annotations.frames."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from tf_ssl.datasets.annotations import frames
from tf_ssl.ops import exif


@pytest.mark.parametrize("number", range(1, 9))
def test_boxes_turn_as_pillow_turns_pixels(number):
  pixels = np.zeros([5, 9], np.uint8)
  pixels[1:3, 2:7] = 255
  image = Image.fromarray(pixels)
  image.getexif()[exif.TAG] = number
  upright = np.asarray(ImageOps.exif_transpose(image))
  frame = frames.Frame(upright.shape[::-1], number)
  xmin, ymin, xmax, ymax = frames.turn((2, 1, 7, 3), frame)
  expected = np.zeros_like(upright)
  expected[ymin:ymax, xmin:xmax] = 255
  np.testing.assert_array_equal(upright, expected)


@pytest.mark.parametrize(
  ("given", "orientation", "expected"),
  [
    (None, 1, frames.Frame((9, 5))),
    (None, 6, frames.Frame((5, 9))),
    ((9, 5), 1, frames.Frame((9, 5))),
    ((9, 5), 3, frames.Frame((9, 5))),
    ((5, 9), 6, frames.Frame((5, 9))),
    ((9, 5), 6, frames.Frame((5, 9), 6)),
    ((5, 9), 1, frames.Frame((9, 5), differs=True)),
    ((5, 9), 3, frames.Frame((9, 5), differs=True)),
    ((18, 10), 1, frames.Frame((18, 10), differs=True)),
    # Rescaled, and of pixels as they are stored: as good as another shape.
    ((18, 10), 6, frames.Frame((18, 10), differs=True, reshaped=True)),
    ((18, 18), 1, frames.Frame((18, 18), differs=True, reshaped=True)),
  ],
)
def test_the_size_in_the_annotation_tells_the_frame(
  given, orientation, expected
):
  assert frames.find(given, exif.Header((9, 5), orientation)) == expected


@pytest.mark.parametrize(
  ("size", "given", "expected"),
  [
    ((224, 149), (640, 427), True),
    ((32, 21), (640, 427), True),  # 21.35 px, rounded.
    ((1280, 854), (640, 427), True),
    ((640, 440), (640, 427), False),
    ((224, 224), (640, 427), False),
    ((224, 224), (640, 640), True),
    ((427, 640), (640, 427), False),
  ],
)
def test_a_copy_in_another_size_keeps_the_aspect_ratio(size, given, expected):
  assert frames.is_rescaled(size, given) == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
