"""Tests of tf_ssl.input_pipeline.thumbnails."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.datasets import open_images
from tf_ssl.input_pipeline import thumbnails


@pytest.fixture(name="records")
def fixture_records(tmp_path):
  """Three images of 30 x 90 px: a red, a green and a blue third."""
  for name in "abc":
    image = np.zeros([30, 90, 3], np.uint8)
    for i in range(3):
      image[:, 30 * i : 30 * i + 30, i] = 200
    Image.fromarray(image).save(tmp_path / f"{name}.png")
  return open_images.open_images(str(tmp_path))


def test_the_whole_image_or_its_middle_is_shown(records):
  [whole] = thumbnails.thumbnails(records, [1], side=12)
  assert whole.shape == (12, 12, 3) and whole.dtype == np.uint8
  for column, channel in ((1, 0), (6, 1), (10, 2)):
    expected = np.zeros([12, 3])
    expected[:, channel] = 200
    np.testing.assert_allclose(whole[:, column], expected, atol=4)
  [middle] = thumbnails.thumbnails(records, [1], side=12, middle=True)
  np.testing.assert_allclose(middle[:, 2:-2], [[[0, 200, 0]] * 8] * 12, atol=4)


def test_a_box_is_cut_out(records):
  boxes = np.array([[-1] * 4, [60, 0, 90, 30], [-1] * 4], np.int32)
  records = records._replace(boxes=boxes)
  [found] = thumbnails.thumbnails(records, [1], side=6)
  assert (found == [0, 0, 200]).all()


def test_the_order_is_kept_and_a_missing_image_is_gray(records, tmp_path):
  (tmp_path / "b.png").unlink()
  first, gone, last = thumbnails.thumbnails(records, [2, 1, 2], side=5)
  assert len(np.unique(gone)) == 1 and gone.shape == (5, 5, 3)
  np.testing.assert_array_equal(first, last)
  assert len(np.unique(first)) > 1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
