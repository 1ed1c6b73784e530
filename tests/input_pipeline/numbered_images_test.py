"""Tests of tf_ssl.input_pipeline.numbered_images."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib


def _records(folder, count, sides=(8, 8)):
  rng = np.random.default_rng(0)
  pictures = rng.integers(0, 256, [count, *sides, 3], np.uint8)
  folder.mkdir()
  for i, picture in enumerate(pictures):
    Image.fromarray(picture).save(folder / f"{i:02d}.png")
  return image_folder.read(str(folder), labeled=False), pictures


def _batches(records, **options):
  options = {"image_size": 8, "batch_size": 3, **options}
  return list(numbered_images.numbered_images(records, **options))


def test_earlier_images_than_the_start_are_omitted(tmp_path):
  records, pictures = _records(tmp_path / "a", 8)
  found = _batches(records, start=3)
  index = np.concatenate([batch.index for batch in found])
  np.testing.assert_array_equal(index, np.arange(3, 8))
  np.testing.assert_array_equal(
    np.concatenate([batch.image for batch in found]), pictures[3:]
  )


def test_unusable_images_are_skipped(tmp_path):
  records, pictures = _records(tmp_path / "a", 8)
  (tmp_path / "a" / "04.png").write_bytes(b"GIF8 no more")
  skipped = skipped_lib.SkippedFiles(None, 8, 0.5)
  found = _batches(records, skipped=skipped)
  index = np.concatenate([batch.index for batch in found])
  np.testing.assert_array_equal(index, [0, 1, 2, 3, 5, 6, 7])
  images = np.concatenate([batch.image for batch in found])
  np.testing.assert_array_equal(images, pictures[index])
  assert list(skipped.reasons) == ["04.png"]


@pytest.mark.parametrize("sides", [(20, 33), (9, 30)])
def test_a_full_image_becomes_the_square_that_pillow_makes(tmp_path, sides):
  records, pictures = _records(tmp_path / "a", 1, sides)
  found = _batches(records, framing="whole", image_size=16)[0].image[0]
  expected = Image.fromarray(pictures[0]).resize((16, 16), Image.BILINEAR)
  difference = found.numpy().astype(int) - np.asarray(expected).astype(int)
  assert np.abs(difference).max() <= 1


def test_a_square_is_cut_from_the_middle(tmp_path):
  records, pictures = _records(tmp_path / "a", 1, (20, 33))
  found = _batches(records, framing="square", image_size=10)[0].image[0]
  middle = Image.fromarray(pictures[0][:, 6:26])
  expected = np.asarray(middle.resize((10, 10), Image.BILINEAR)).astype(int)
  assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_a_fitted_image_is_padded_with_the_mean_color(tmp_path):
  records, pictures = _records(tmp_path / "a", 1, (8, 16))
  found = _batches(records, framing="fitted", image_size=16)[0].image[0]
  np.testing.assert_array_equal(found[:8], pictures[0])
  np.testing.assert_array_equal(found[8:], np.full([8, 16, 3], [124, 116, 104]))


def test_boxes_are_cropped_before_resizing(tmp_path):
  records, pictures = _records(tmp_path / "a", 1, (20, 30))
  records = records._replace(boxes=np.int32([[4, 2, 20, 14]]))
  found = _batches(records, framing="whole", image_size=6)[0].image[0]
  region = Image.fromarray(pictures[0][2:14, 4:20])
  expected = np.asarray(region.resize((6, 6), Image.BILINEAR)).astype(int)
  assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_an_unknown_framing_is_named(tmp_path):
  records, _ = _records(tmp_path / "a", 1)
  with pytest.raises(errors.UsageError, match="framing='round'"):
    _batches(records, framing="round")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
