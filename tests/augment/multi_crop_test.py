"""Tests of tf_ssl.augment.multi_crop."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import multi_crop, recipes
from tf_ssl.ops import pixels

SEED = tf.constant([3, 4])


def noise(*shape):
  return np.random.default_rng(0).integers(0, 256, [*shape, 3], np.uint8)


def test_crops_have_the_photometry_of_their_recipe_and_a_window_of_their_own():
  recipe = recipes.moco_v2(min_area=0.4)
  found = multi_crop.crops(recipe=recipe, number=5, size=16, area=(0.1, 0.3))
  assert found.number == 5 and found.crop.area == (0.1, 0.3)
  assert found.crop.aspect == recipe.crop.aspect
  assert found.crop_size(224) == 16
  crop = found.recipe
  assert crop._replace(crop=recipe.crop, size=None) == recipe


def test_each_crop_is_finished_as_an_image_of_a_larger_batch():
  recipe = multi_crop.crops(recipe=recipes.moco_v2(), number=3, size=8)
  images = noise(4, 3, 8, 8)
  whole = recipe.finish(tf.constant(images), SEED)
  assert whole.shape == (4, 3, 8, 8, 3) and whole.dtype == tf.float32
  flat = recipe.recipe.finish(tf.constant(images.reshape(12, 8, 8, 3)), SEED)
  np.testing.assert_array_equal(whole, np.reshape(flat, whole.shape))
  part = recipe.finish(tf.constant(images[1:3]), SEED, offset=1, total=4)
  np.testing.assert_allclose(part, whole[1:3], atol=1e-5)


def test_without_photometry_crops_are_normalized_pixels():
  plain = recipes.supervised()._replace(flip_probability=0.0)
  recipe = multi_crop.crops(recipe=plain, number=2, size=4)
  images = noise(3, 2, 4, 4)
  found = recipe.finish(tf.constant(images), SEED)
  np.testing.assert_allclose(found, pixels.normalize(images), atol=1e-5)


@pytest.mark.parametrize("in_graph", [False, True])
def test_no_crops_are_an_empty_tensor(in_graph):
  recipe = multi_crop.crops(recipe=recipes.moco_v2(), number=0, size=8)
  finish = tf.function(recipe.finish) if in_graph else recipe.finish
  found = finish(tf.zeros([4, 0, 8, 8, 3], tf.uint8), SEED)
  assert found.shape == (4, 0, 8, 8, 3) and found.dtype == tf.float32


@pytest.mark.parametrize(
  "options, message",
  [
    ({"number": -1}, "number=-1.*at least 0.*CROPS"),
    ({"size": 1}, "size=1.*2 px.*CROP_SIZE"),
    ({"area": (0.5, 0.1)}, r"area=\(0.5, 0.1\).*CROP_AREA"),
    ({"area": (0.0, 0.1)}, "area.*0 < smallest.*CROP_AREA"),
    ({"area": (0.2, 1.1)}, "area.*<= 1.*CROP_AREA"),
  ],
)
def test_settings_out_of_range_are_refused_in_one_line(options, message):
  with pytest.raises(errors.UsageError, match=message) as found:
    multi_crop.crops(recipe=recipes.moco_v2(), **options)
  assert "\n" not in str(found.value)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
