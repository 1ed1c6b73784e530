"""Predicted masks next to the ground truth."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.evaluation.segmentation import pictures
from tf_ssl.reporting import charts


def _example(truth, predicted):
  image = np.full([20, 30, 3], 90, np.uint8)
  return pictures.Example(image, truth, predicted)


def test_truth_and_prediction_are_in_the_colors_of_their_classes():
  truth = np.zeros([20, 30], np.int32)
  truth[:10] = -1
  predicted = np.full([20, 30], 1, np.int32)
  encoded = pictures.draw(
    [_example(truth, predicted)], ["a", "b$", "never seen"], title="one $ two"
  )
  picture = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
  palette = (255 * charts.palette(3)).round().astype(int)
  shown = [
    int((np.abs(picture - color).max(axis=-1) <= 1).sum()) for color in palette
  ]
  assert min(shown[:2]) > 2000  # Half a picture each, and the legend.
  assert shown[2] == 0  # It does not occur, so it is not in the legend.
  # Void hides half of the prediction, too.
  assert 0.8 < shown[0] / shown[1] < 1.25


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
