"""Croppers against plain Python, closed-form cases and RandomResizedCrop."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tf_ssl import errors
from tf_ssl.augment import crop, croppers

_RANGE = crop.CropRange(area=(0.1, 0.6))
_ALL = [
  croppers.ContrastiveCrop(),
  croppers.ObjectAwareCrop(),
  croppers.ObjectAwareCrop(scene=True),
  croppers.SameObjectCrop(),
  croppers.BoxScaleCrop(),
]


def drawn(cropper, regions, boxes, *, found=True, seed=0, size=8, crops=None):
  """Windows [N, 2, 4], and all random numbers, as NumPy arrays."""
  count = len(regions)
  draws = crop.draw(count, 2, tf.constant([seed, 1]))
  shared = tf.random.stateless_uniform(
    [count, croppers.NUM_DRAWS], [seed, 2], alg="philox"
  )
  regions = tf.constant(regions, tf.int32)
  boxes, found = croppers.within(
    regions,
    tf.constant(boxes, tf.float32),
    tf.broadcast_to(tf.constant(found), [count]),
  )
  windows = cropper.windows(
    regions,
    croppers.Objects(boxes, found, shared),
    draws,
    croppers.Views(crops or [_RANGE] * 2, [size] * 2, [0, 1]),
  )
  return windows.numpy(), draws.numpy(), shared.numpy()


def random_scenes(count=300):
  """Regions, and a box inside each, of any size."""
  rng = np.random.default_rng(0)
  start = rng.integers(0, 20, [count, 2])
  sides = rng.integers(8, 90, [count, 2])
  corners = np.sort(rng.random([2, count, 2]), axis=0)
  boxes = start + corners * sides
  boxes[1] = np.minimum(np.maximum(boxes[1], boxes[0] + 1), start + sides)
  boxes[0] = np.minimum(boxes[0], boxes[1] - 1)
  return (
    np.concatenate([start, sides], 1),
    np.concatenate(list(boxes), 1).astype(np.float32),
  )


def sides_of(region, draws, crop_range=_RANGE):
  """Height and width of the first attempt that fits, and its two numbers."""
  height, width = map(int, region[2:])
  for area_u, aspect_u, *place in draws.tolist():
    low, high = crop_range.area
    area = height * width * (low + (high - low) * area_u)
    low, high = map(math.log, crop_range.aspect)
    aspect = math.exp(low + (high - low) * aspect_u)
    h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
    if 1 <= h <= height and 1 <= w <= width:
      return (h, w), place
  return None, None


@pytest.mark.parametrize("cropper", _ALL)
def test_windows_are_whole_and_inside_their_regions(cropper):
  regions, boxes = random_scenes()
  found, _, _ = drawn(cropper, regions, boxes)
  start, sides = regions[:, None, :2], regions[:, None, 2:]
  assert found.dtype == np.int32 and (found[..., 2:] >= 1).all()
  assert (found[..., :2] >= start).all()
  assert (found[..., :2] + found[..., 2:] <= start + sides).all()


@pytest.mark.parametrize("cropper", _ALL[1:])
def test_without_a_box_windows_are_those_of_random_resized_crop(cropper):
  regions, boxes = random_scenes()
  found, draws, _ = drawn(cropper, regions, boxes, found=False)
  plain = crop.random_windows(
    tf.constant(regions, tf.int32), tf.constant(draws), crops=[_RANGE] * 2
  )
  np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize(
  "cropper",
  [
    croppers.ContrastiveCrop(alpha=1.0),
    croppers.ObjectAwareCrop(),
    croppers.ObjectAwareCrop(scene=True),
    croppers.BoxScaleCrop(),
  ],
)
def test_with_the_whole_image_as_box_windows_are_those_of_random_resized_crop(
  cropper,
):
  regions, _ = random_scenes()
  boxes = np.concatenate([regions[:, :2], regions[:, :2] + regions[:, 2:]], 1)
  found, draws, _ = drawn(cropper, regions, boxes)
  plain = crop.random_windows(
    tf.constant(regions, tf.int32), tf.constant(draws), crops=[_RANGE] * 2
  )
  np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("alpha", [0.1, 0.6, 1.0, 3.0])
def test_contrastive_crops_are_those_of_the_paper_by_hand(alpha):
  regions, boxes = random_scenes()
  found, draws, _ = drawn(croppers.ContrastiveCrop(alpha=alpha), regions, boxes)
  checked = 0
  for i, region in enumerate(regions.tolist()):
    for view in range(2):
      sides, place = sides_of(region, draws[i, view])
      if sides is None:
        continue
      checked += 1
      assert found[i, view, 2:].tolist() == list(sides)
      for axis in range(2):
        total, side = region[2 + axis], sides[axis]
        low, high = (
          min(max(int(edge - region[axis]) - side // 2, 0), total - side)
          for edge in boxes[i, [axis, axis + 2]].tolist()
        )
        u = special.betaincinv(alpha, alpha, place[axis])
        expected = region[axis] + low + min(int(u * (high - low + 1)), high)
        # The table's linear pieces may put a position on its neighbor.
        assert abs(found[i, view, axis] - expected) <= (alpha != 1.0)
  assert checked > 500


@pytest.mark.parametrize("alpha", [0.1, 0.6, 2.0])
def test_quantiles_of_beta_are_those_of_scipy(alpha):
  u = np.random.default_rng(0).random(20_000).astype(np.float32)
  found = croppers.beta_quantile(tf.constant(u), alpha).numpy()
  exact = special.betaincinv(alpha, alpha, u.astype(np.float64))
  assert np.abs(found - exact).max() < 3e-3
  assert found.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_a_small_alpha_moves_windows_to_the_extremes_of_the_box():
  regions = np.tile([0, 0, 100, 100], [2000, 1])
  boxes = np.tile([30.0, 30, 70, 70], [2000, 1])
  sides = crop.CropRange(area=(0.04, 0.04), aspect=(1.0, 1.0))  # 20 px.
  found, _, _ = drawn(
    croppers.ContrastiveCrop(alpha=0.1), regions, boxes, crops=[sides] * 2
  )
  assert found[..., :2].min() == 20 and found[..., :2].max() == 60
  # Beta(0.1, 0.1): 77 % of its mass is within a tenth of its ends.
  mass = 2 * special.betainc(0.1, 0.1, 0.1)
  near = (found[..., :2] < 24) | (found[..., :2] > 56)
  assert near.mean() == pytest.approx(mass, abs=0.03)


def test_object_aware_views_are_of_the_box_and_of_its_surroundings():
  regions = np.tile([0, 0, 100, 120], [1000, 1])
  boxes = np.tile([40.0, 50, 60, 80], [1000, 1])
  found, _, shared = drawn(
    croppers.ObjectAwareCrop(dilation=(0.1, 0.2)), regions, boxes, size=8
  )
  first = shared[:, 1] < 0.5
  assert 0.4 < first.mean() < 0.6
  of_object = np.where(first[:, None], found[:, 0], found[:, 1])
  around = np.where(first[:, None], found[:, 1], found[:, 0])
  assert (of_object[:, :2] >= [40, 50]).all()
  assert (of_object[:, :2] + of_object[:, 2:] <= [60, 80]).all()
  # 20 % of 20 and of 30 px on each side.
  assert around[:, :2].min(0).tolist() == [36, 44]
  assert (around[:, :2] + around[:, 2:]).max(0).tolist() == [64, 86]
  # Sides of the dilated region are 24 to 28 px, and the area 10 to 60 %.
  area = around[:, 2] * around[:, 3]
  assert area.max() > 0.55 * 24 * 36 and area.max() <= 0.65 * 28 * 42


def test_a_small_box_is_widened_to_the_size_of_the_view():
  regions = np.tile([0, 0, 100, 120], [500, 1])
  boxes = np.tile([0.0, 50, 4, 54], [500, 1])
  whole = crop.CropRange(area=(1.0, 1.0), aspect=(1.0, 1.0))
  found, _, shared = drawn(
    croppers.ObjectAwareCrop(), regions, boxes, size=20, crops=[whole] * 2
  )
  first = shared[:, 1] < 0.5
  of_object = np.where(first[:, None], found[:, 0], found[:, 1])
  assert np.unique(of_object, axis=0).tolist() == [[0, 42, 20, 20]]


@pytest.mark.parametrize("side", [4, 20, 26, 40])
def test_the_dilated_region_is_larger_than_a_widened_box(side):
  regions = np.tile([0, 0, 100, 120], [500, 1])
  box = [50 - side // 2, 60 - side // 2, 50 + side // 2, 60 + side // 2]
  boxes = np.tile(np.float32(box), [500, 1])
  whole = crop.CropRange(area=(1.0, 1.0), aspect=(1.0, 1.0))
  found, _, shared = drawn(
    croppers.ObjectAwareCrop(), regions, boxes, size=30, crops=[whole] * 2
  )
  first = shared[:, 1] < 0.5
  of_object = np.where(first[:, None], found[:, 0], found[:, 1])
  around = np.where(first[:, None], found[:, 1], found[:, 0])
  shown = max(side, 30)
  assert (of_object[:, 2:] == shown).all()
  # More than 10 % and up to 20 % on each side, rounded up to whole pixels.
  assert around[:, 2:].min() == shown + 2 * (shown // 10 + 1)
  assert around[:, 2:].max() == shown + 2 * math.ceil(0.2 * shown)
  assert (around[:, :2] < of_object[:, :2]).all()


def test_the_scene_view_may_be_anywhere():
  regions = np.tile([0, 0, 100, 120], [1000, 1])
  boxes = np.tile([40.0, 50, 60, 80], [1000, 1])
  found, draws, shared = drawn(
    croppers.ObjectAwareCrop(scene=True), regions, boxes
  )
  plain = crop.random_windows(
    tf.constant(regions, tf.int32), tf.constant(draws), crops=[_RANGE] * 2
  ).numpy()
  first = shared[:, 1] < 0.5
  np.testing.assert_array_equal(found[first, 1], plain[first, 1])
  np.testing.assert_array_equal(found[~first, 0], plain[~first, 0])


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_same_object_windows_hold_the_share_where_they_can(share):
  regions, boxes = random_scenes()
  found, draws, _ = drawn(croppers.SameObjectCrop(share=share), regions, boxes)
  root, able, unable = math.sqrt(share), 0, 0
  for i, region in enumerate(regions.tolist()):
    box = boxes[i].astype(float)
    for view in range(2):
      low, sides = found[i, view, :2], found[i, view, 2:]
      held = np.minimum(low + sides, box[2:]) - np.maximum(low, box[:2])
      extent = box[2:] - box[:2]
      wanted = np.minimum(root * extent, sides)
      assert (held >= wanted - 1.0).all()  # Whole pixels.
      sizes = [
        sides_of(region, draws[i, view, a : a + 1])[0] for a in range(10)
      ]
      sizes = [s for s in sizes if s]
      can = [s for s in sizes if (np.array(s) >= root * extent).all()]
      if can:
        able += 1
        assert sides.tolist() == list(can[0])
        assert held.prod() >= share * extent.prod() - extent.sum() - 1
      elif sizes:
        unable += 1
        assert sides.tolist() == list(sizes[0])
  assert able > 150 and unable > 30


def test_positions_that_hold_the_object_have_equal_probability():
  regions = np.tile([0, 0, 60, 60], [4000, 1])
  boxes = np.tile([20.0, 20, 30, 30], [4000, 1])
  sides = crop.CropRange(area=(1 / 9, 1 / 9), aspect=(1.0, 1.0))  # 20 px.
  found, _, _ = drawn(
    croppers.SameObjectCrop(share=1.0), regions, boxes, crops=[sides] * 2
  )
  # A window of 20 px holds 20..30 if it starts at 10..20.
  values, counts = np.unique(found[..., :2], return_counts=True)
  assert values.tolist() == list(range(10, 21))
  expected = counts.sum() / 11
  assert (np.abs(counts - expected) < 5 * math.sqrt(expected)).all()


def test_a_fallback_window_holds_the_object_too():
  huge = crop.CropRange(area=(50.0, 60.0))  # Never fits.
  found, _, _ = drawn(
    croppers.SameObjectCrop(share=1.0),
    [[0, 0, 10, 100]],
    [[0.0, 90, 10, 98]],
    crops=[huge] * 2,
  )
  assert found[0].tolist() == [[0, 85, 10, 13]] * 2


def test_box_scale_views_are_cut_from_the_box_and_its_context():
  regions = np.tile([0, 0, 100, 120], [1000, 1])
  boxes = np.tile([40.0, 50, 60, 80], [1000, 1])
  found, draws, _ = drawn(
    croppers.BoxScaleCrop(context=(0.5, 0.5)), regions, boxes
  )
  expected = crop.random_windows(
    tf.constant([[30, 35, 40, 60]] * 1000),
    tf.constant(draws),
    crops=[_RANGE] * 2,
  )
  np.testing.assert_array_equal(found, expected)


def test_all_boxes_of_an_image_are_drawn_equally_often():
  draws = tf.random.stateless_uniform([9000, croppers.NUM_DRAWS], [0, 1])
  counts = tf.constant([3, 1, 0] * 3000, tf.int64)
  rows = croppers.drawn_row(draws, counts).numpy().reshape(-1, 3)
  assert np.bincount(rows[:, 0]).min() > 900
  assert not rows[:, 1:].any()
  last = tf.constant([[1 - 2.0**-24] * croppers.NUM_DRAWS], tf.float32)
  assert croppers.drawn_row(last, tf.constant([2**27 + 3])) < 2**27 + 3


def test_a_box_outside_the_region_counts_as_none():
  regions = tf.constant([[10, 10, 20, 20]] * 3)
  boxes = tf.constant(
    [[0.0, 0, 9, 9], [0, 0, 15, 40], [12, 12, 12.5, 20]], tf.float32
  )
  clipped, found = croppers.within(regions, boxes, tf.constant([True] * 3))
  assert found.numpy().tolist() == [False, True, False]
  assert clipped.numpy().tolist() == [
    [10, 10, 30, 30],
    [10, 10, 15, 30],
    [10, 10, 30, 30],
  ]


@pytest.mark.parametrize(
  "make, name",
  [
    (lambda: croppers.ContrastiveCrop(alpha=0.0), "alpha=0.0"),
    (lambda: croppers.SameObjectCrop(share=1.5), "share=1.5"),
    (lambda: croppers.ObjectAwareCrop(dilation=(0.2, 0.1)), "dilation"),
    (lambda: croppers.ObjectAwareCrop(min_side=0), "min_side=0"),
    (lambda: croppers.BoxScaleCrop(context=(-0.1, 0.1)), "context"),
  ],
)
def test_settings_out_of_range_are_named(make, name):
  with pytest.raises(errors.UsageError, match=name):
    make()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
