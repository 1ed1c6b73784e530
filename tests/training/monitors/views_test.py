"""Tests of tf_ssl.training.monitors.views."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl import batches
from tf_ssl.ops import pixels
from tf_ssl.training.monitors import views as monitors_views

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def has_color(picture, color):
  """[H, W] bool: the pixels of exactly this color."""
  return (picture == color).all(axis=2)


def bounds(mask):
  """Top, bottom, left and right of the pixels that are set, inclusive."""
  rows, columns = np.nonzero(mask)
  return rows.min(), rows.max(), columns.min(), columns.max()


def pictures(context):
  """The images in TensorBoard's events, [H, W, 3] uint8, by tag."""
  context.writer.close()
  events = event_accumulator.EventAccumulator(
    context.tensorboard, size_guidance={"tensors": 0}
  ).Reload()
  found = {}
  for tag in events.Tags()["tensors"]:
    (point,) = events.Tensors(tag)  # Drawn once.
    png = tf.make_ndarray(point.tensor_proto)[2]
    found[tag] = tf.io.decode_png(png).numpy()
  return found


def of_color(color, *shape):
  images = np.empty([*shape, 3], np.uint8)
  images[...] = color
  return pixels.normalize(images)


def test_normalization_is_inverted_exactly():
  images = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
  restored = monitors_views.from_normalized(pixels.normalize(images))
  np.testing.assert_array_equal(restored, images)


def test_the_two_views_of_a_pair_touch():
  query = np.full([3, 32, 32, 3], RED, np.uint8)
  key = np.full([3, 32, 32, 3], BLUE, np.uint8)

  grid = monitors_views.view_grid([query, key], caption="Views", columns=2)

  red, blue = has_color(grid, RED), has_color(grid, BLUE)
  assert red.sum() == blue.sum() > 3 * 32 * 32  # Small views are enlarged.
  assert red[:, 1:][blue[:, :-1]].sum() == 0  # Blue is never left of red ...
  assert blue[:, 1:][red[:, :-1]].any()  # ... and touches it on the right.
  top, _, _, _ = bounds(red)
  assert (grid[:top] < 128).any()  # The caption is above.


def test_large_views_are_drawn_smaller():
  views = np.zeros([1, 256, 256, 3], np.uint8)
  grid = monitors_views.view_grid([views, views], caption="")
  top, bottom, left, right = bounds(has_color(grid, (0, 0, 0)))
  height, width = bottom - top + 1, right - left + 1
  assert height < 256 and width == 2 * height


def test_a_batch_is_drawn_once_with_as_many_examples_as_asked_for(make_context):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, [40, 8, 8, 3])
  images[8:] = RED  # These are not to be seen.
  normalized = pixels.normalize(images)
  monitor = monitors_views.Views(max_examples=8)
  context = make_context(sample=batches.ImagePair(normalized, normalized))
  monitor.start(context)

  assert monitor.measure(0) == {}
  assert monitor.measure(100) == {}

  [(tag, picture)] = pictures(context).items()
  assert tag == "views/query_and_key"
  assert not has_color(picture, RED).any()
  for image in images[:8]:
    assert has_color(picture, image[0, 0]).any()


def test_frames_and_regions_have_a_picture_each(make_context):
  yellow = (200, 200, 0)
  batch = batches.RegionTrackPair(
    of_color(RED, 2, 16, 16),
    of_color(GREEN, 2, 16, 16),
    of_color(BLUE, 2, 8, 8),
    of_color(yellow, 2, 8, 8),
  )
  monitor, context = monitors_views.Views(), make_context(sample=batch)
  monitor.start(context)
  monitor.measure(0)
  found = pictures(context)
  assert set(found) == {
    "views/query_and_key",
    "views/query_region_and_key_region",
  }
  regions = found["views/query_region_and_key_region"]
  blue, shown_yellow = has_color(regions, BLUE), has_color(regions, yellow)
  assert blue.sum() == shown_yellow.sum() > 0
  assert not has_color(regions, RED).any()


def test_patches_are_laid_out_next_to_their_image(make_context):
  levels = (40, 80, 120, 160)
  patches = np.zeros([1, 4, 4, 4, 3], np.uint8)
  patches[0, :, ..., 0] = np.array(levels)[:, None, None]
  batch = batches.JigsawPair(
    of_color(GREEN, 1, 16, 16),
    pixels.normalize(patches),
    tf.constant([0], tf.int64),
  )
  monitor, context = monitors_views.Views(), make_context(sample=batch)
  monitor.start(context)
  monitor.measure(0)
  (picture,) = pictures(context).values()
  image = bounds(has_color(picture, GREEN))
  one, two, three, four = (
    bounds(has_color(picture, (level, 0, 0))) for level in levels
  )
  assert one[0] == two[0] == image[0] and three[1] == four[1] == image[1]
  assert one[2] == three[2] == image[3] + 1  # Right of the image.
  assert two[2] == four[2] == one[3] + 1
  assert three[0] == four[0] == one[1] + 1


@pytest.mark.parametrize("number, shape", [(3, (2, 2)), (6, (2, 3))])
def test_small_crops_have_a_picture_of_their_own(make_context, number, shape):
  levels = 40 + 30 * np.arange(number)
  crops = np.zeros([1, number, 8, 8, 3], np.uint8)
  crops[0, ..., 0] = levels[:, None, None]
  image = of_color(GREEN, 1, 16, 16)
  batch = batches.MultiCropPair(image, image, pixels.normalize(crops))
  monitor, context = monitors_views.Views(), make_context(sample=batch)
  monitor.start(context)
  monitor.measure(0)
  found = pictures(context)
  assert set(found) == {"views/query_and_key", "views/crops"}
  corners = [
    bounds(has_color(found["views/crops"], (level, 0, 0))) for level in levels
  ]
  tops, lefts = ({corner[i] for corner in corners} for i in (0, 2))
  assert (len(tops), len(lefts)) == shape


def test_a_batch_without_crops_has_no_picture_of_them(make_context):
  image = of_color(GREEN, 1, 16, 16)
  batch = batches.MultiCropPair(image, image, tf.zeros([1, 0, 8, 8, 3]))
  monitor, context = monitors_views.Views(), make_context(sample=batch)
  monitor.start(context)
  monitor.measure(0)
  assert set(pictures(context)) == {"views/query_and_key"}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
