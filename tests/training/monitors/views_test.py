"""The picture of the views."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl import batches
from tf_ssl.ops import pixels
from tf_ssl.training.monitors import images as tensorboard_images
from tf_ssl.training.monitors import views as monitors_views


def test_normalization_is_undone_exactly():
  images = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
  restored = tensorboard_images.from_normalized(pixels.normalize(images))
  np.testing.assert_array_equal(restored, images)


def test_the_two_views_of_a_pair_touch():
  query = np.full([3, 32, 32, 3], (200, 0, 0), np.uint8)
  key = np.full([3, 32, 32, 3], (0, 0, 200), np.uint8)

  grid = tensorboard_images.view_grid([query, key], caption="Views", columns=2)

  red = (grid == (200, 0, 0)).all(axis=2)
  blue = (grid == (0, 0, 200)).all(axis=2)
  assert red.sum() == blue.sum() == 3 * 96 * 96  # Drawn three times as large.
  rows, columns = np.nonzero(red)
  top, right = rows.min(), columns[rows == rows.min()].max()
  # The first row has two pairs; the last red column borders on a blue one.
  assert blue[top, right + 1]
  assert (grid[:20] < 128).any()  # The caption.


def test_large_views_are_drawn_smaller():
  views = np.zeros([1, 256, 256, 3], np.uint8)
  grid = tensorboard_images.view_grid([views, views], caption="")
  assert (grid == 0).all(axis=2).sum() == 128 * 256


def test_a_batch_is_drawn_once(tmp_path):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, [40, 8, 8, 3])
  probe = batches.ImagePair(pixels.normalize(images), pixels.normalize(images))
  writer = tf.summary.create_file_writer(str(tmp_path))
  monitor = monitors_views.ViewGrid(probe, writer, max_examples=8)

  assert monitor.measure(0) == {}
  assert monitor.measure(100) == {}

  writer.close()
  events = event_accumulator.EventAccumulator(
    str(tmp_path), size_guidance={"tensors": 0}
  ).Reload()
  (point,) = events.Tensors("views/query_and_key")
  png = tf.make_ndarray(point.tensor_proto)[2]
  picture = tf.io.decode_png(png).numpy()
  # Two rows of four pairs, 96 px each view.
  assert picture.shape == (29 + 2 * (96 + 8), 8 + 4 * (192 + 8), 3)
  assert point.step == 0


def pictures(folder):
  events = event_accumulator.EventAccumulator(
    str(folder), size_guidance={"tensors": 0}
  ).Reload()
  return {
    tag: tf.io.decode_png(
      tf.make_ndarray(events.Tensors(tag)[0].tensor_proto)[2]
    ).numpy()
    for tag in events.Tags()["tensors"]
  }


def of_color(color, *shape):
  images = np.empty([*shape, 3], np.uint8)
  images[...] = color
  return pixels.normalize(images)


def test_frames_and_regions_have_a_picture_each(tmp_path):
  batch = batches.RegionTrackPair(
    of_color((200, 0, 0), 2, 16, 16),
    of_color((0, 200, 0), 2, 16, 16),
    of_color((0, 0, 200), 2, 8, 8),
    of_color((200, 200, 0), 2, 8, 8),
  )
  writer = tf.summary.create_file_writer(str(tmp_path))
  monitors_views.ViewGrid(batch, writer).measure(0)
  writer.close()
  found = pictures(tmp_path)
  assert set(found) == {
    "views/query_and_key",
    "views/query_region_and_key_region",
  }
  regions = found["views/query_region_and_key_region"]
  for color in ((0, 0, 200), (200, 200, 0)):
    assert (regions == color).all(axis=2).sum() == 2 * 96 * 96


def test_patches_are_laid_out_beside_their_image(tmp_path):
  patches = np.zeros([1, 4, 4, 4, 3], np.uint8)
  patches[0, :, ..., 0] = np.array([40, 80, 120, 160])[:, None, None]
  batch = batches.JigsawPair(
    of_color((0, 200, 0), 1, 16, 16),
    pixels.normalize(patches),
    tf.constant([0], tf.int64),
  )
  writer = tf.summary.create_file_writer(str(tmp_path))
  monitors_views.ViewGrid(batch, writer).measure(0)
  writer.close()
  (picture,) = pictures(tmp_path).values()
  shown = picture[-104:-8, 104:200, 0]  # 96 px: a patch is 48
  expected = np.kron([[40, 80], [120, 160]], np.ones([48, 48]))
  np.testing.assert_array_equal(shown, expected)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
