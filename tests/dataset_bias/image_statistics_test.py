"""Statistics of boxes, by hand and against plain loops."""

import itertools
import math
import sys

import numpy as np
import pytest

from tf_ssl.dataset_bias import image_statistics, object_boxes


def example():
  """Three cats and a dog; nothing; one dog in a corner."""
  return object_boxes.from_rows(
    [(100, 200), (50, 50), (40, 40)],
    [2, 0, 0, 0, 0],
    [
      [0, 0, 4, 4],
      [80, 40, 120, 60],  # in the middle: 40 x 20 of 200 x 100
      [0, 0, 10, 10],
      [10, 0, 20, 10],
      [190, 90, 200, 100],
    ],
    [1, 0, 0, 0, 1],
    ("cat", "dog", "owl"),
  )


def test_each_image_by_hand():
  found = image_statistics.of_images(example())
  assert found.objects.tolist() == [4, 0, 1]
  assert found.classes.tolist() == [2, 0, 1]
  three_to_one = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
  np.testing.assert_allclose(found.entropy, [three_to_one, np.nan, 0])
  np.testing.assert_allclose(found.largest_area, [0.04, np.nan, 0.01])
  # The middle of 0..4 is 0.05 of the side: 0.45 of 0.5 away, on both axes.
  np.testing.assert_allclose(found.centeredness, [1, np.nan, 0.1])


def test_classes_that_share_images_by_hand():
  found = image_statistics.co_occurrence(example())
  assert found.images_with.tolist() == [1, 2, 0]
  # Two cats in one image; cat and dog in one; never two dogs.
  assert found.images.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]
  share = 3 / 5
  entropy = -(share * math.log2(share) + 0.4 * math.log2(0.4))
  assert found.entropy == pytest.approx(entropy)
  # After the dog a cat; after a cat two other cats and the dog are left.
  after_a_cat = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
  assert found.companion_entropy == pytest.approx(3 / 4 * after_a_cat)


def test_random_images_agree_with_a_plain_loop():
  rng = np.random.default_rng(0)
  counts = rng.integers(0, 7, 60)
  total = counts.sum()
  objects = object_boxes.from_rows(
    np.full([60, 2], 50),
    np.repeat(np.arange(60), counts),
    np.tile([[0, 0, 5, 5]], [total, 1]),
    rng.integers(0, 6, total),
    tuple("abcdef"),
  )
  found = image_statistics.co_occurrence(objects)
  images, joint = np.zeros([6, 6], int), np.zeros([6, 6])
  for image in range(60):
    classes = objects.classes[
      objects.offsets[image] : objects.offsets[image + 1]
    ]
    for first, second in itertools.product(range(6), range(6)):
      needed = 2 if first == second else 1
      images[first, second] += (classes == first).sum() >= needed and (
        classes == second
      ).sum() >= needed
    for i, j in itertools.permutations(range(len(classes)), 2):
      joint[classes[i], classes[j]] += 1 / (len(classes) - 1)
  np.testing.assert_array_equal(found.images, images)
  conditional = 0.0
  for row in joint:
    for value in row[row > 0]:
      conditional -= value / joint.sum() * math.log2(value / row.sum())
  assert found.companion_entropy == pytest.approx(conditional)


def test_companion_entropy_is_undefined_without_companions():
  single = example().take([2])
  found = image_statistics.co_occurrence(single)
  assert found.entropy == 0
  assert np.isnan(found.companion_entropy)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
