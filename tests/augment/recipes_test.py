"""Tests of tf_ssl.augment.recipes."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.augment import recipes
from tf_ssl.ops import pixels

SEED = tf.constant([3, 4])
RECIPES = {"v1": recipes.moco_v1(), "v2": recipes.moco_v2()}


@pytest.fixture(name="images", scope="module")
def _images():
  x = np.random.default_rng(0).integers(0, 256, (8, 10, 12, 3), np.uint8)
  return tf.constant(x)


@pytest.mark.parametrize("name", RECIPES)
def test_slices_of_a_batch_equal_the_batch(name, images):
  recipe = RECIPES[name]
  whole = recipe.finish(images, SEED)
  assert whole.dtype == tf.float32 and whole.shape == images.shape
  for offset in (0, 3, tf.constant(5, tf.int64)):
    part = recipe.finish(
      images[offset : offset + 3], SEED, offset=offset, total=8
    )
    expected = whole[offset : offset + 3]
    np.testing.assert_allclose(part, expected, atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_views_in_tf_data_equal_those_inside_a_train_step(name, images):
  recipe = RECIPES[name]
  eager = recipe.finish(images, SEED)
  dataset = tf.data.Dataset.from_tensors(images).map(
    lambda x: recipe.finish(x, SEED, compiled=True)
  )
  np.testing.assert_allclose(next(iter(dataset)), eager, atol=1e-3)

  @tf.function
  def train_step(x, seed, scale):
    with tf.GradientTape() as tape:
      tape.watch(scale)
      loss = tf.reduce_mean(scale * recipe.finish(x, seed))
    return loss, tape.gradient(loss, scale)

  loss, gradient = train_step(images, SEED, tf.constant(2.0))
  assert float(loss) == pytest.approx(
    2 * float(tf.reduce_mean(eager)), abs=1e-4
  )
  assert float(gradient) == pytest.approx(float(loss) / 2, abs=1e-4)


def test_the_same_draws_give_the_same_views_in_a_jitted_train_step(images):
  recipe = RECIPES["v2"]
  draws = recipe.draw(SEED, 8)
  apply = tf.function(lambda x: recipe.apply(x, draws), jit_compile=True)
  eager = recipe.finish(images, SEED)
  np.testing.assert_allclose(apply(images), eager, atol=1e-3)


def test_views_differ_by_seed(images):
  recipe = RECIPES["v2"]
  one = recipe.finish(images, SEED)
  np.testing.assert_array_equal(recipe.finish(images, SEED), one)
  for other in ([3, 5], [4, 4]):
    assert not np.allclose(recipe.finish(images, tf.constant(other)), one)


def test_without_operations_the_view_is_the_normalized_image(images):
  recipe = RECIPES["v2"]._replace(
    jitter_probability=0.0,
    grayscale_probability=0.0,
    blur_probability=0.0,
    flip_probability=0.0,
  )
  ours = recipe.finish(images, SEED)
  np.testing.assert_allclose(ours, pixels.normalize(images), atol=1e-4)


@pytest.mark.parametrize(
  "name, expected",
  [
    ("v1", {"jitter": 1.0, "grayscale": 0.2, "flip": 0.5, "blur": 0.0}),
    ("v2", {"jitter": 0.8, "grayscale": 0.2, "flip": 0.5, "blur": 0.5}),
  ],
)
def test_operations_have_the_papers_frequencies(name, expected):
  draws = RECIPES[name].draw(SEED, 4000)
  found = {
    "jitter": draws.jitter.brightness != 1.0,
    "grayscale": draws.grayscale,
    "flip": draws.flip,
    "blur": draws.sigma > 0,
  }
  for operation, share in expected.items():
    measured = np.mean(found[operation].numpy())
    assert measured == pytest.approx(share, abs=0.03), operation


def test_grayscale_may_be_more_frequent():
  recipe = recipes.moco_v2(grayscale_probability=0.7)
  measured = np.mean(recipe.draw(SEED, 4000).grayscale.numpy())
  assert measured == pytest.approx(0.7, abs=0.03)
  assert recipe._replace(grayscale_probability=0.2) == recipes.moco_v2()


def test_strengths_are_those_of_the_papers():
  v1, v2 = RECIPES["v1"], RECIPES["v2"]
  assert v1.jitter == (0.4, 0.4, 0.4, 0.4) and v2.jitter == (0.4, 0.4, 0.4, 0.1)
  for recipe in (v1, v2):
    assert recipe.crop.area == (0.2, 1.0)
    assert recipe.crop.aspect == (3 / 4, 4 / 3)
  sigma = v2.draw(SEED, 4000).sigma.numpy()
  sigma = sigma[sigma > 0]
  assert 0.1 <= sigma.min() < 0.12 and 1.98 < sigma.max() <= 2.0
  assert sigma.mean() == pytest.approx(1.05, abs=0.05)


def test_grayscale_comes_first_in_v1_and_after_the_jitter_in_v2():
  # Saturation and hue cannot color a gray image, so v1 stays gray too; but
  # jitter moves the luminance before v2 takes it.
  x = tf.constant([[[[200, 30, 90]] * 4] * 4], tf.uint8)
  for recipe in RECIPES.values():
    recipe = recipe._replace(grayscale_probability=1.0, blur_probability=0.0)
    y = recipe.finish(x, SEED).numpy()
    y = y * pixels.IMAGENET_STD + pixels.IMAGENET_MEAN
    np.testing.assert_allclose(y[..., 0], y[..., 1], atol=1e-2)
    np.testing.assert_allclose(y[..., 0], y[..., 2], atol=1e-2)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
