"""Tests of tf_ssl.augment.photometric."""

import colorsys
import itertools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.augment import photometric

LUMA = np.array([0.2989, 0.587, 0.114])


def images(count=3, height=5, width=4):
  """[count, height, width, 3] float64, with grays and extremes among them."""
  x = np.random.default_rng(0).integers(0, 256, (count, height, width, 3))
  x[:, 0, 0] = 77
  x[:, 0, 1] = 0
  x[:, 0, 2] = 255
  x[:, 0, 3] = (255, 0, 0)
  return x.astype(float)


def planes(x):
  return tf.constant(x.transpose(0, 3, 1, 2), tf.float32)


def pixels(x):
  return np.asarray(x).transpose(0, 2, 3, 1)


def brightness(x, factor):
  return np.clip(x * factor, 0, 255)


def contrast(x, factor):
  return np.clip(factor * x + (1 - factor) * (x @ LUMA).mean(), 0, 255)


def saturation(x, factor):
  return np.clip(factor * x + (1 - factor) * (x @ LUMA)[..., None], 0, 255)


def hue(x, turns):
  def shifted(pixel):
    h, s, v = colorsys.rgb_to_hsv(*(pixel / 255))
    return 255 * np.array(colorsys.hsv_to_rgb((h + turns) % 1.0, s, v))

  return np.apply_along_axis(shifted, -1, x)


REFERENCES = (brightness, contrast, saturation, hue)


def parameters(order, saturation_first):
  return photometric.Jitter(
    brightness=tf.constant([0.6, 1.4, 1.1]),
    contrast=tf.constant([1.4, 0.7, 1.2]),
    saturation=tf.constant([0.6, 1.3, 1.4]),
    hue=tf.constant([0.1, -0.4, 0.05]),
    saturation_first=tf.constant(saturation_first),
    order=tf.constant(order),
  )


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_jitter_applies_four_operations_in_the_order_drawn(order, compiled):
  x = images()
  swapped, gray = [False, True, True], [False, False, True]
  draws = parameters(order, swapped)
  ours = photometric.jitter(
    tf.cast(planes(x), tf.uint8),
    draws,
    then_gray=tf.constant(gray),
    compiled=compiled,
  )
  values = [v.numpy() for v in draws[:4]]
  for i, swap in enumerate(swapped):
    expected = x[i]
    for step in order:
      if swap and step in (0, 2):
        step = 2 - step
      expected = REFERENCES[step](expected, values[step][i])
    if gray[i]:
      expected = np.repeat((expected @ LUMA)[..., None], 3, axis=-1)
    np.testing.assert_allclose(pixels(ours)[i], expected, atol=0.02)


def test_orders_are_uniform_over_batches():
  counts = {}
  strength = photometric.JitterStrength(0.4, 0.4, 0.4, 0.1)
  rng = np.random.default_rng(0)
  for _ in range(400):
    draws = photometric.draw_jitter(
      tf.constant(rng.uniform(size=(6, 6)), tf.float32),
      tf.constant(rng.uniform(size=4), tf.float32),
      strength=strength,
      probability=1.0,
    )
    for swap in draws.saturation_first.numpy():
      order = tuple(
        2 - step if swap and step in (0, 2) else step
        for step in draws.order.numpy()
      )
      counts[order] = counts.get(order, 0) + 1
  assert len(counts) == 24
  assert max(counts.values()) < 2 * min(counts.values()) + 60


@pytest.mark.parametrize("turns", [-0.5, -0.1, 0.0, 0.03, 0.25, 0.5])
def test_hue_equals_colorsys(turns):
  x = images(2, 16, 16)
  ours = photometric.shift_hue(planes(x), tf.constant([turns, turns]))
  np.testing.assert_allclose(pixels(ours), hue(x, turns), atol=1e-2)


def test_every_image_has_its_own_parameters():
  x = images(2)
  factors = tf.constant([0.5, 1.0])
  for name, step in (
    ("brightness", lambda p: photometric.blend(p, factors, [False, False])),
    ("saturation", lambda p: photometric.blend(p, factors, [True, True])),
    ("contrast", lambda p: photometric.adjust_contrast(p, factors)),
  ):
    ours = pixels(step(planes(x)))
    np.testing.assert_allclose(ours[1], x[1], atol=1e-3, err_msg=name)
    expected = globals()[name](x[0], 0.5)
    np.testing.assert_allclose(ours[0], expected, atol=1e-3, err_msg=name)


def test_the_mean_of_contrast_excludes_the_border():
  x = np.zeros([1, 3, 6, 6], np.float32)
  x[:, :, 2:4, 2:4] = 100.0
  ours = photometric.adjust_contrast(tf.constant(x), tf.constant([0.5]), 2)
  expected = 0.5 * x + 0.5 * 100 * LUMA.sum()
  np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_grayscale_changes_the_chosen_only():
  x = images(2)
  ours = pixels(photometric.grayscale(planes(x), tf.constant([False, True])))
  np.testing.assert_array_equal(ours[0], x[0])
  gray = np.repeat((x[1] @ LUMA)[..., None], 3, axis=-1)
  np.testing.assert_allclose(ours[1], gray, atol=1e-3)


def test_factors_are_uniform_around_one_and_never_negative():
  uniform = np.random.default_rng(0).uniform(size=(4000, 6))
  draws = photometric.draw_jitter(
    tf.constant(uniform, tf.float32),
    tf.constant([0.1, 0.2, 0.3, 0.4]),
    strength=photometric.JitterStrength(0.4, 1.5, 0.0, 0.1),
    probability=0.8,
  )
  chosen = uniform[:, 0] < 0.8
  for values, low, high in (
    (draws.brightness, 0.6, 1.4),
    (draws.contrast, 0.0, 2.5),
    (draws.hue, -0.1, 0.1),
  ):
    values = values.numpy()[chosen]
    assert low <= values.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 0.03 * (high - low)
  assert (draws.saturation.numpy() == 1).all()
  assert (draws.brightness.numpy()[~chosen] == 1).all()
  assert (draws.hue.numpy()[~chosen] == 0).all()


def test_it_runs_inside_tf_data_and_agrees():
  x = images()
  draws = parameters((3, 1, 0, 2), [True, False, True])
  dataset = tf.data.Dataset.from_tensors(planes(x)).map(
    lambda p: photometric.jitter(p, draws, compiled=True)
  )
  eager = photometric.jitter(planes(x), draws)
  np.testing.assert_allclose(next(iter(dataset)), eager, atol=0.02)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
