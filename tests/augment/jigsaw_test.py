"""Tests of tf_ssl.augment.jigsaw."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.augment import jigsaw, recipes
from tf_ssl.ops import pixels

GRID, CELL, PATCH = 3, 5, 3


def coordinates(count):
  """[count, 15, 15, 3]: image number, row, column."""
  numbers = np.indices([count, GRID * CELL, GRID * CELL]).astype(np.uint8)
  return np.moveaxis(numbers, 0, -1)


@pytest.mark.parametrize("in_graph", [False, True])
def test_each_cell_has_one_patch_inside_it(in_graph):
  draws = jigsaw.draw(tf.constant([1, 2]), 40, GRID**2)

  def cut(images):
    return jigsaw.cut(images, draws, cell=CELL, patch=PATCH)

  cut = tf.function(cut) if in_graph else cut
  patches = cut(tf.constant(coordinates(40))).numpy()
  assert patches.shape == (40, 9, PATCH, PATCH, 3)
  offsets, orders = [], []
  for number, image in enumerate(patches):
    assert (image[..., 0] == number).all()
    cells = []
    for patch in image:
      top, left = patch[0, 0, 1:].astype(int)
      steps = np.moveaxis(np.indices([PATCH, PATCH]), 0, -1)
      np.testing.assert_array_equal(patch[..., 1:], steps + [top, left])
      assert top % CELL <= CELL - PATCH and left % CELL <= CELL - PATCH
      offsets.append((top % CELL, left % CELL))
      cells.append(top // CELL * GRID + left // CELL)
    assert sorted(cells) == list(range(9))
    orders.append(tuple(cells))
  assert len(set(offsets)) == 9  # every place in a cell
  assert len(set(orders)) == 40  # of 362,880: two alike would be odd
  counts = np.array(orders)[:, 0]
  assert len(set(counts)) >= 8


def test_finished_patches_do_not_depend_on_how_a_batch_is_divided():
  recipe = jigsaw.pirl_patches(
    patch=recipes.pirl(), cell_size=CELL, patch_size=PATCH
  )
  assert recipe.crop_size(224) == GRID * CELL
  images = tf.constant(coordinates(6) * 9)
  whole = recipe.finish(images, tf.constant([3, 4]))
  assert whole.shape == (6, 9, PATCH, PATCH, 3) and whole.dtype == tf.float32
  part = recipe.finish(images[2:4], tf.constant([3, 4]), offset=2, total=6)
  np.testing.assert_allclose(part, whole[2:4], atol=1e-5)


def test_without_photometry_patches_are_normalized_pixels():
  plain = recipes.supervised()._replace(flip_probability=0.0)
  recipe = jigsaw.pirl_patches(patch=plain, cell_size=CELL, patch_size=PATCH)
  images = tf.constant(coordinates(2))
  found = recipe.finish(images, tf.constant([3, 4]))
  draws = jigsaw.draw(tf.constant([3, 4]), 2, 9)
  expected = jigsaw.cut(images, draws, cell=CELL, patch=PATCH)
  np.testing.assert_allclose(found, pixels.normalize(expected), atol=1e-5)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
