"""Tests of tf_ssl.input_pipeline.decoded_images."""

import io
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl.augment import background_change, recipes
from tf_ssl.datasets import image_folder, tfrecords
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoded_images, decoding, view_batches
from tf_ssl.input_pipeline import skipped as skipped_lib

NUM_IMAGES = 12


def picture(number):
  """[H, W, 3] uint8; all images have other sides."""
  rng = np.random.default_rng(number)
  sides = 17 + number, 40 - 2 * number
  return rng.integers(0, 256, [*sides, 3], np.uint8)


@pytest.fixture(name="folder")
def _folder(tmp_path):
  folder = tmp_path / "images"
  folder.mkdir()
  for number in range(NUM_IMAGES):
    Image.fromarray(picture(number)).save(folder / f"{number:02d}.png")
  return folder


def batches(records, **options):
  options = {
    "recipe": recipes.moco_v2(),
    "image_size": 8,
    "batch_size": 4,
    "seed": 3,
    "num_steps": 6,
    **options,
  }
  return list(view_batches.view_batches(records, **options))


def same(one, other):
  return all(
    np.array_equal(a, b)
    for x, y in zip(one, other, strict=True)
    for a, b in zip(x, y, strict=True)
  )


def test_windows_are_those_of_the_images(folder):
  found = decoded_images.decode_all(image_folder.read(str(folder)), max_mib=1)
  for number in range(NUM_IMAGES):
    image = picture(number)
    height, width = image.shape[:2]
    assert found.sides[number].numpy().tolist() == [height, width]
    for y, x, h, w in [(0, 0, height, width), (3, 5, 2, 7), (16, 17, 1, 1)]:
      window = found.window(
        tf.constant(number, tf.int64), tf.constant([y, x, h, w])
      )
      np.testing.assert_array_equal(window, image[y : y + h, x : x + w])


def test_views_are_the_same_bits_as_without(folder):
  records = image_folder.read(str(folder))
  decoded = decoded_images.decode_all(records, max_mib=1)
  assert same(batches(records), batches(records, decoded=decoded))


def test_pairs_in_shards_are_the_same_bits_as_without(tmp_path):
  file = tmp_path / "images.tfrecord"
  with tf.io.TFRecordWriter(str(file)) as writer:
    for number in range(NUM_IMAGES):
      example = tf.train.Example()
      example.features.feature["image/encoded"].bytes_list.value.append(
        tf.io.encode_png(picture(number)).numpy()
      )
      writer.write(example.SerializeToString())
  pairs = np.stack([np.arange(6), np.arange(11, 5, -1)], axis=1)
  records = tfrecords.read([str(file)])._replace(
    examples=records_lib.Examples(pairs, groups=None)
  )
  decoded = decoded_images.decode_all(records, max_mib=1)
  assert len(decoded.sides) == NUM_IMAGES
  assert same(batches(records), batches(records, decoded=decoded))


def test_photographs_are_upright(tmp_path):
  file = io.BytesIO()
  exif = Image.Exif()
  exif[0x0112] = 6  # Turned by a quarter.
  Image.fromarray(picture(2)).save(file, "jpeg", exif=exif)
  (tmp_path / "a.jpg").write_bytes(file.getvalue())
  records = image_folder.read(str(tmp_path))
  found = decoded_images.decode_all(records, max_mib=1)
  upright = decoding.decode_bytes(file.getvalue())
  height, width = upright.shape[:2]
  assert found.sides.numpy().tolist() == [[height, width]] == [[36, 19]]
  whole = tf.constant([0, 0, height, width])
  np.testing.assert_array_equal(
    found.window(tf.constant(0, tf.int64), whole), upright
  )


def test_changed_backgrounds_are_the_same_bits_as_without(folder, tmp_path):
  masks = tmp_path / "masks"
  masks.mkdir()
  for number in range(NUM_IMAGES):
    height, width = picture(number).shape[:2]
    mask = np.zeros([height, width], np.uint8)
    mask[: height // 2] = 1
    Image.fromarray(mask).save(masks / f"{number:02d}.png")
  records = image_folder.read(str(folder))
  files = [bytes(masks / f"{number:02d}.png") for number in range(NUM_IMAGES)]
  records = records._replace(
    masks=records_lib.Masks(np.array(files), np.ones(NUM_IMAGES, bool))
  )
  decoded = decoded_images.decode_all(records, max_mib=1)
  change = background_change.BackgroundChange(probability=1.0)
  assert same(
    batches(records, change=change),
    batches(records, change=change, decoded=decoded),
  )


def test_an_image_that_cannot_be_decoded_is_replaced_and_named(folder):
  (folder / "05.png").write_bytes(b"\x89PNG, but no more")
  records = image_folder.read(str(folder))
  decoded = decoded_images.decode_all(records, max_mib=1)
  assert decoded.sides[5].numpy().tolist() == [0, 0]
  named = []
  found = []
  for given in (None, decoded):
    skipped = skipped_lib.SkippedFiles(None, NUM_IMAGES, 0.5)
    found.append(batches(records, decoded=given, skipped=skipped))
    named.append(skipped.reasons)
  assert named[0] == named[1]
  assert [*named[0]] == ["05.png"]
  assert same(*found)


@pytest.mark.parametrize("megapixels", [1, 4])
def test_images_that_do_not_fit_are_not_kept(tmp_path, megapixels):
  """Found out by the sample of headers, or only by the pixels."""
  side = 1024
  for number in range(megapixels):
    image = np.zeros([side, side, 3], np.uint8)
    Image.fromarray(image).save(tmp_path / f"{number}.png")
  records = image_folder.read(str(tmp_path))
  assert decoded_images.decode_all(records, max_mib=2) is None
  assert decoded_images.decode_all(records, max_mib=3 * megapixels)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
