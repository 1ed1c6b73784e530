"""Tests of tf_ssl.augment.crop."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.augment import crop


def reference_window(height, width, crop_range, rng):
  """RandomResizedCrop of one image, step by step: y, x, h, w."""
  for _ in range(10):
    area = height * width * rng.uniform(*crop_range.area)
    aspect = math.exp(rng.uniform(*np.log(crop_range.aspect)))
    w = round(math.sqrt(area * aspect))
    h = round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      return (
        rng.integers(0, height - h + 1),
        rng.integers(0, width - w + 1),
        h,
        w,
      )
  ratio = width / height
  h, w = height, width
  if ratio < crop_range.aspect[0]:
    h = round(width / crop_range.aspect[0])
  elif ratio > crop_range.aspect[1]:
    w = round(height * crop_range.aspect[1])
  return (height - h) // 2, (width - w) // 2, h, w


def windows(regions, seed=(1, 2), crop_range=None, num_windows=2):
  crop_range = crop_range or crop.CropRange()
  draws = crop.draw(len(regions), num_windows, tf.constant(seed))
  return crop.random_windows(
    tf.constant(regions), draws, crops=[crop_range] * draws.shape[1]
  )


@pytest.mark.parametrize(
  "height, width, area",
  [(224, 224, (0.2, 1.0)), (120, 200, (0.08, 1.0)), (37, 20, (0.5, 0.9))],
)
def test_windows_are_distributed_as_random_resized_crops(height, width, area):
  count = 20_000
  crop_range = crop.CropRange(area=area)
  ours = windows([[0, 0, height, width]] * count, crop_range=crop_range)
  ours = ours.numpy()[:, 0].astype(float)
  rng = np.random.default_rng(0)
  theirs = np.array(
    [reference_window(height, width, crop_range, rng) for _ in range(count)]
  ).astype(float)
  for values in (
    lambda x: x[:, 0],
    lambda x: x[:, 1],
    lambda x: x[:, 2] * x[:, 3],
    lambda x: np.log(x[:, 3] / x[:, 2]),
  ):
    a, b = np.sort(values(ours)), np.sort(values(theirs))
    grid = np.concatenate([a, b])
    distance = np.abs(
      np.searchsorted(a, grid, "right") - np.searchsorted(b, grid, "right")
    ).max()
    # Kolmogorov-Smirnov at one in a million: 2.7 * sqrt(2 / n).
    assert distance / count < 2.7 * math.sqrt(2 / count)


@pytest.mark.parametrize(
  "sides, expected",
  [
    ((100, 10), [(100 - 13) // 2, 0, 13, 10]),  # 10 / (3/4) = 13.3
    ((10, 100), [0, (100 - 13) // 2, 10, 13]),  # 10 * 4/3 = 13.3
    ((9, 9), [0, 0, 9, 9]),
    ((2, 60), [0, 28, 2, 3]),
  ],
)
def test_if_no_window_fits_it_is_the_largest_centered_one(sides, expected):
  huge = crop.CropRange(area=(50.0, 60.0))  # never fits
  window = windows([[0, 0, *sides]], crop_range=huge).numpy()
  np.testing.assert_array_equal(window, [[expected, expected]])


def test_windows_stay_within_their_region():
  rng = np.random.default_rng(0)
  regions = np.stack(
    [
      rng.integers(0, 50, 500),
      rng.integers(0, 50, 500),
      rng.integers(2, 60, 500),
      rng.integers(2, 60, 500),
    ],
    axis=1,
  ).astype(np.int32)
  found = windows(regions).numpy()
  start, sides = regions[:, None, :2], regions[:, None, 2:]
  assert (found[..., :2] >= start).all()
  assert (found[..., :2] + found[..., 2:] <= start + sides).all()
  assert (found[..., 2:] >= 1).all()


def test_the_two_windows_of_an_image_and_those_of_two_images_differ():
  found = windows([[0, 0, 224, 224]] * 2).numpy().reshape(4, 4)
  assert len({tuple(row) for row in found.tolist()}) == 4


def test_the_same_seed_gives_the_same_windows_in_tf_data():
  regions = [[0, 0, 50, 70]] * 3
  eager = windows(regions, seed=(7, 8))
  dataset = tf.data.Dataset.from_tensors(0).map(
    lambda _: windows(regions, seed=(7, 8))
  )
  np.testing.assert_array_equal(next(iter(dataset)), eager)
  assert not np.array_equal(windows(regions, seed=(7, 9)), eager)


def test_the_enclosing_window_is_the_smallest():
  found = crop.enclosing_window(tf.constant([[3, 10, 5, 6], [1, 12, 2, 9]]))
  np.testing.assert_array_equal(found, [1, 10, 7, 11])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
