"""Detections drawn beside the truth."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.evaluation.detection import pictures


def _example(found):
  return pictures.Example(
    image=np.full([40, 60, 3], 255, np.uint8),
    truth=np.float32([[10, 10, 30, 30]]),
    truth_classes=np.array([0]),
    found=np.float32(found).reshape(-1, 4),
    found_classes=np.arange(len(found)) % 2,
    scores=np.linspace(0.9, 0.1, len(found)),
  )


def _drawn(found):
  png = pictures.draw([_example(found)], ["a$b", "c"], title="of $x$")
  return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_as_many_detections_are_drawn_as_there_are_objects_the_surest():
  """Each box has the colour of its class; the second of two is not drawn."""
  one, two = [5, 5, 20, 20], [35, 5, 55, 35]
  np.testing.assert_array_equal(_drawn([one, two]), _drawn([one]))
  assert (_drawn([two, one]) != _drawn([one])).any()
  assert (_drawn([]) != _drawn([one])).any()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
