"""Tests of tf_ssl.input_pipeline.labeled_images."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import labeled_images
from tf_ssl.input_pipeline import skipped as skipped_lib


@pytest.fixture(name="folder")
def _folder(tmp_path):
  """Eleven images of one color each, 20 * number, in classes 0 and 1."""
  for i in range(11):
    path = tmp_path / "images" / f"class{int(i > 4)}" / f"{i:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (20 * i,) * 3).save(path)
  return tmp_path / "images"


def batches(folder, labeled=True, **options):
  records = image_folder.read(str(folder), labeled=labeled)
  options = {"image_size": 8, "batch_size": 4, **options}
  return list(labeled_images.labeled_images(records, **options))


def numbers(found):
  return [int(v) // 20 for b in found for v in b.image[:, 0, 0, 0]]


def test_all_images_appear_once_in_order_with_their_labels(folder):
  found = batches(folder)
  assert isinstance(found[0], types.LabeledImage)
  assert [len(b.label) for b in found] == [4, 4, 3]
  assert numbers(found) == list(range(11))
  labels = np.concatenate([b.label for b in found])
  np.testing.assert_array_equal(labels, [0] * 5 + [1] * 6)
  assert found[0].image.dtype == tf.uint8 and labels.dtype == np.int32
  assert found[0].image.shape == (4, 8, 8, 3)


def test_images_without_labels_get_minus_one(folder):
  assert set(batches(folder, labeled=False)[0].label.numpy()) == {-1}


def test_bad_files_are_skipped_and_named(folder):
  (folder / "class1" / "06.png").write_bytes(b"")
  skipped = skipped_lib.SkippedFiles(None, 11, max_fraction=0.1)
  found = batches(folder, skipped=skipped)
  assert numbers(found) == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]
  assert [len(b.label) for b in found] == [4, 4, 2]
  assert skipped.reasons == {"class1/06.png": "empty file"}
  (folder / "class1" / "07.png").write_bytes(b"")
  with pytest.raises(tf.errors.OpError, match="max_skipped_fraction"):
    batches(folder, skipped=skipped)
  assert skipped.fatal is not None


def torchvision_resize_and_crop(image, size):
  """Resize(size * 256 / 224) of the short side, CenterCrop(size)."""
  target = round(size * 256 / 224)
  w, h = image.size
  scaled = (
    (target, int(target * h / w)) if w <= h else (int(target * w / h), target)
  )
  image = np.asarray(image.resize(scaled, Image.BILINEAR))
  top, left = (round((side - size) / 2) for side in image.shape[:2])
  return image[top : top + size, left : left + size]


@pytest.mark.parametrize("sides", [(60, 90), (90, 60), (100, 100), (20, 45)])
def test_center_crops_equal_torchvisions(tmp_path, sides):
  y, x = np.mgrid[: sides[0], : sides[1]]
  picture = np.stack([2 * y, 2 * x, y + x], -1).astype(np.uint8)
  (tmp_path / "c").mkdir()
  image = Image.fromarray(picture)
  image.save(tmp_path / "c" / "a.png")
  ours = batches(tmp_path, image_size=28)[0].image[0].numpy().astype(int)
  expected = torchvision_resize_and_crop(image, 28)
  assert np.abs(ours - expected).max() <= 1


def test_small_squares_are_not_cropped(tmp_path):
  picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
  (tmp_path / "c").mkdir()
  Image.fromarray(picture).save(tmp_path / "c" / "a.png")
  found = batches(tmp_path, image_size=32)[0].image[0]
  np.testing.assert_array_equal(found, picture)
  enlarged = batches(tmp_path, image_size=64)[0].image[0].numpy().astype(int)
  expected = Image.fromarray(picture).resize((64, 64), Image.BILINEAR)
  assert np.abs(enlarged - np.asarray(expected)).max() <= 1


def test_settings_out_of_range_are_refused(folder):
  with pytest.raises(errors.UsageError, match="image_size: got 1"):
    batches(folder, image_size=1)
  with pytest.raises(errors.UsageError, match="batch_size: got 0"):
    batches(folder, batch_size=0)


def write_halves(root):
  """Ten images of two classes, black on the left, 100 + i on the right."""
  for i in range(10):
    folder = root / "ab"[i % 2]
    folder.mkdir(exist_ok=True)
    image = np.zeros([16, 16, 3], np.uint8)
    image[:, 8:] = 100 + i
    Image.fromarray(image).save(folder / f"{i}.png")
  return image_folder.read(str(root), labeled=True)


def crops(records, **changes):
  settings = {
    "image_size": 16,
    "batch_size": 4,
    "seed": 0,
    "num_steps": 5,
    "min_area": 1.0,  # The full image.
    **changes,
  }
  return list(
    labeled_images.labeled_crops(records, **settings).as_numpy_iterator()
  )


def test_crops_are_flipped_at_random_and_keep_their_labels(tmp_path):
  records = write_halves(tmp_path)
  found = crops(records)
  assert len(found) == 5
  flipped = []
  for image, label in found:
    assert image.shape == (4, 16, 16, 3) and image.dtype == np.uint8
    number = image.max(axis=(1, 2, 3)).astype(int) - 100
    np.testing.assert_array_equal(label, number % 2)
    flipped.extend((image[:, 0, 0, 0] > 50).tolist())
  assert 0.2 < np.mean(flipped) < 0.8
  for a, b in zip(crops(records, start_step=3), found[3:], strict=True):
    np.testing.assert_array_equal(a.image, b.image)


def test_examples_select_the_images(tmp_path):
  records = write_halves(tmp_path)
  subset = records._replace(examples=records_lib.Examples(np.array([[1], [7]])))
  seen = {
    (int(one.max()), int(label))
    for batch in crops(subset, batch_size=2)
    for one, label in zip(*batch, strict=True)
  }
  assert seen == {
    (100 + int(records.name(i)[2]), int(records.labels[i])) for i in (1, 7)
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
