"""Crop statistics against enumeration and against a plain loop over boxes."""

import itertools
import math
import random
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.augment import crop, croppers
from tf_ssl.dataset_bias import crop_samplers, crop_statistics, object_boxes
from tf_ssl.datasets.annotations import coco

# Crops of 48 x 48 in pictures of 96 x 96: 49 x 49 places, all alike.
_SIDE, _CROP = 96, 48
_QUARTER = crop.CropRange(area=(0.25, 0.25), aspect=(1.0, 1.0))
_PLACES = range(_SIDE - _CROP + 1)
_INSIDE = crop_statistics.Shown(min_inside=0.5, min_filled=2.0)


def pictures(boxes, classes=None, *, count=400):
  """The same square picture many times."""
  classes = classes or [0] * len(boxes)
  return object_boxes.from_rows(
    np.full([count, 2], _SIDE),
    np.repeat(np.arange(count), len(boxes)),
    np.tile(boxes, [count, 1]),
    np.tile(classes, count),
    ("a", "b"),
  )


def simulated(objects, crop_range=_QUARTER, **settings):
  found = crop_statistics.simulate(objects, crop_range, pairs=100, **settings)
  return found, {
    name: crop_statistics.mean(found, name).value
    for name in crop_statistics.QUANTITIES
  }


def near(value, expected, *, pairs=40_000):
  """Within five standard errors of a share of independent pairs."""
  error = math.sqrt(max(expected * (1 - expected), 1e-9) / pairs)
  return value == pytest.approx(expected, abs=5 * error)


def test_a_centered_object_that_fills_half_of_the_image_by_hand():
  # As wide as the picture, from 24 to 72: a crop at y shows 48 - |y - 24| rows,
  # that is (48 - |y - 24|) / 96 of the object: at least 0.4 where |y - 24| is
  # at most 9, in 19 of 49 places.
  objects = pictures([[0, 24, 96, 72]])
  rule = crop_statistics.Shown(min_inside=0.4, min_filled=2.0)
  _, means = simulated(objects, shown=rule)
  share = 19 / 49
  for name in ("same_object", "same_class", "main_in_both", "same_foremost"):
    assert near(means[name], share**2), name
  assert near(means["empty_view"], 1 - share, pairs=80_000)
  assert near(means["no_object"], (1 - share) ** 2)
  # The mean of |d| over -9..9 is 2 (1 + ... + 9) / 19.
  hidden = 1 - (48 - 90 / 19) / 96
  assert means["main_hidden"] == pytest.approx(hidden, abs=1e-3)
  offsets = range(-9, 10)
  difference = np.mean(
    [abs(abs(a) - abs(b)) / 96 for a in offsets for b in offsets]
  )
  assert means["main_hidden_difference"] == pytest.approx(difference, abs=1e-3)


def test_an_object_that_fills_the_view_is_shown_even_if_mostly_outside():
  # At least 24 of 48 rows of a view are of the object, wherever it is.
  found, means = simulated(
    pictures([[0, 24, 96, 72]], count=4),
    shown=crop_statistics.Shown(min_inside=0.9, min_filled=0.5),
  )
  assert means["same_object"] == 1 and means["no_object"] == 0
  # A half to a quarter of it is seen: the third and the fourth of eight bins,
  # and a half exactly opens the fifth.
  assert found.cover[2:5].sum() == found.cover.sum() == 4 * 200


def test_two_objects_at_the_corners_by_enumeration():
  corners = [[0, 0, 24, 24], [72, 72, 96, 96]]
  share = np.mean(
    [
      max(24 - x, 0) * max(24 - y, 0) >= 0.5 * 24 * 24
      for x, y in itertools.product(_PLACES, _PLACES)
    ]
  )  # no crop shows both
  _, same = simulated(pictures(corners), shown=_INSIDE)
  assert near(same["same_object"], 2 * share**2)
  assert near(same["same_foremost"], 2 * share**2)
  assert near(same["main_in_both"], share**2)
  assert near(same["same_class"], (2 * share) ** 2)
  assert near(same["no_object"], (1 - 2 * share) ** 2)
  _, different = simulated(pictures(corners, [0, 1]), shown=_INSIDE)
  assert near(different["same_class"], 2 * share**2)


def test_the_overlap_of_two_views_by_enumeration():
  along = np.array(
    [max(_CROP - abs(a - b), 0) for a in _PLACES for b in _PLACES]
  )
  lengths, times = np.unique(along, return_counts=True)
  both = np.outer(lengths, lengths)
  weights = np.outer(times, times) / len(along) ** 2
  iou = both / (2 * _CROP**2 - both)
  found, means = simulated(pictures([[0, 0, 96, 96]]))
  mean = (weights * iou).sum()
  deviation = math.sqrt((weights * iou**2).sum() - mean**2)
  assert means["overlap"] == pytest.approx(mean, abs=5 * deviation / 200)
  bins = crop_statistics.OVERLAP_BINS
  shares = np.histogram(iou, bins, (0, 1), weights=weights)[0]
  assert found.overlap.sum() == 40_000
  np.testing.assert_allclose(found.overlap / 40_000, shares, atol=0.0125)


def test_views_of_the_full_image_share_everything():
  whole = crop.CropRange(area=(1.0, 1.0), aspect=(1.0, 1.0))
  objects = pictures([[0, 0, 10, 10], [50, 0, 96, 30]], [0, 1], count=3)
  _, means = simulated(objects, whole)
  for name in ("same_object", "same_class", "same_foremost", "overlap"):
    assert means[name] == 1
  assert means["main_hidden"] == means["no_object"] == means["empty_view"] == 0


def brute_force(annotations, crop_range, rule, pairs, rng):
  """Sums and counts by plain loops over images, views and boxes."""
  sums = dict.fromkeys(crop_statistics.QUANTITIES, 0.0)
  counts = dict.fromkeys(crop_statistics.QUANTITIES, 0)

  def add(name, value):
    sums[name] += value
    counts[name] += 1

  for image in range(annotations.num_images):
    width, height = map(int, annotations.image_sizes[image])
    boxes = [
      (*map(float, annotations.boxes[row]), int(annotations.class_ids[row]))
      for row in np.flatnonzero(annotations.image_index == image)
      if not annotations.crowd[row]
    ]
    if not boxes:
      continue
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]
    free = np.ones([height, width])
    for x0, y0, x1, y1, _ in boxes:
      free[round(y0) : round(y1), round(x0) : round(x1)] = 0
    main = areas.index(max(areas))
    for _ in range(pairs):
      shown, foremost, hidden = [], [], []
      views = [window(width, height, crop_range, rng) for _ in range(2)]
      for view in views:
        parts = {}
        for number, box in enumerate(boxes):
          wide = min(box[2], view[2]) - max(box[0], view[0])
          high = min(box[3], view[3]) - max(box[1], view[1])
          part = wide * high if wide > 0 and high > 0 else 0.0
          view_area = (view[2] - view[0]) * (view[3] - view[1])
          if (
            part >= rule.min_inside * areas[number]
            or part >= rule.min_filled * view_area
          ):
            parts[number] = part
        shown.append(set(parts))
        most = max(parts.values(), default=None)
        foremost.append({n for n, part in parts.items() if part == most})
        hidden.append(1 - parts[main] / areas[main] if main in parts else None)
        add("empty_view", not parts)
        add("background", free[view[1] : view[3], view[0] : view[2]].mean())
        if main in parts:
          add("main_hidden", hidden[-1])
      classes = [{boxes[n][4] for n in some} for some in shown]
      add("same_object", bool(shown[0] & shown[1]))
      add("same_class", bool(classes[0] & classes[1]))
      add("main_in_both", main in shown[0] and main in shown[1])
      add("same_foremost", bool(foremost[0] & foremost[1]))
      add("no_object", not shown[0] and not shown[1])
      if main in shown[0] and main in shown[1]:
        add("main_hidden_difference", abs(hidden[0] - hidden[1]))
      (ax, ay, bx, by), (cx, cy, dx, dy) = views
      wide, high = min(bx, dx) - max(ax, cx), min(by, dy) - max(ay, cy)
      both = max(wide, 0) * max(high, 0)
      either = (bx - ax) * (by - ay) + (dx - cx) * (dy - cy) - both
      add("overlap", both / either)
  return {name: sums[name] / counts[name] for name in sums}


def window(width, height, crop_range, rng):
  """torchvision's RandomResizedCrop: xmin, ymin, xmax, ymax."""
  for _ in range(10):
    area = width * height * rng.uniform(*crop_range.area)
    aspect = math.exp(
      rng.uniform(
        math.log(crop_range.aspect[0]), math.log(crop_range.aspect[1])
      )
    )
    w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      x, y = rng.randint(0, width - w), rng.randint(0, height - h)
      return x, y, x + w, y + h
  ratio = width / height
  w, h = width, height
  if ratio < crop_range.aspect[0]:
    h = round(width / crop_range.aspect[0])
  elif ratio > crop_range.aspect[1]:
    w = round(height * crop_range.aspect[1])
  x, y = (width - w) // 2, (height - h) // 2
  return x, y, x + w, y + h


@pytest.mark.parametrize(
  "area, rule",
  [
    ((0.2, 1.0), crop_statistics.Shown()),
    ((0.05, 0.6), crop_statistics.Shown(0.3, 0.7)),
  ],
)
def test_real_annotations_agree_with_a_plain_loop_over_boxes(
  shared_data, area, rule
):
  folder = shared_data / "coco"
  annotations = coco.read(
    str(folder / "annotations" / "instances_train2017.json"),
    str(folder / "train2017"),
  )
  crop_range = crop.CropRange(area=area)
  rng = random.Random(0)
  slow = [
    brute_force(annotations, crop_range, rule, 10, rng) for _ in range(16)
  ]
  objects = object_boxes.of_annotations(annotations)
  objects = objects.take(np.flatnonzero(objects.counts))
  fast = []
  for seed in range(16):
    found = crop_statistics.simulate(
      objects, crop_range, pairs=32, seed=seed, shown=rule
    )
    fast.append(
      {name: crop_statistics.mean(found, name).value for name in found.sums}
    )
  for name in crop_statistics.QUANTITIES:
    ours, theirs = ([means[name] for means in some] for some in (fast, slow))
    error = math.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / 16)
    assert error < 0.005, name
    # Student's t with 15 degrees of freedom and more: 1 in 100,000.
    assert abs(np.mean(ours) - np.mean(theirs)) < 6 * error, name


def test_equal_seeds_give_equal_crops_and_images_keep_their_order():
  objects = pictures([[0, 0, 24, 24]], count=300)  # more than one chunk
  first, _ = simulated(objects, seed=3)
  again, _ = simulated(objects, seed=3)
  other, _ = simulated(objects, seed=4)
  np.testing.assert_array_equal(
    first.sums["same_object"], again.sums["same_object"]
  )
  assert (first.sums["same_object"] != other.sums["same_object"]).any()
  mixed = object_boxes.from_rows(
    objects.sizes,
    np.arange(300),
    np.where(np.arange(300)[:, None] % 2, [[0, 0, 96, 96]], [[0, 0, 1, 1]]),
    np.zeros(300),
    ("a",),
  )
  found, _ = simulated(mixed)
  share = crop_statistics.per_image(found, "same_object")
  assert (share[1::2] == 1).all() and (share[::2] < 0.2).all()


def test_progress_counts_every_image_once():
  counted = []
  simulated(pictures([[0, 0, 9, 9]], count=300), progress=counted.append)
  assert sum(counted) == 300


def test_the_interval_is_over_images_not_over_views():
  # Half of the images always share their object, half never: the mean of ten
  # such images is as uncertain as that of ten coins.
  objects = object_boxes.from_rows(
    np.full([10, 2], 96),
    np.arange(10),
    [[0, 0, 96, 96]] * 5 + [[47, 47, 48, 48]] * 5,
    np.zeros(10),
    ("a",),
  )
  found = crop_statistics.simulate(
    objects,
    crop.CropRange(area=(0.01, 0.01), aspect=(1.0, 1.0)),
    pairs=50,
    shown=crop_statistics.Shown(0.9, 0.9),
  )
  value, low, high = crop_statistics.mean(found, "same_object")
  assert value == pytest.approx(0.5, abs=0.02)
  margin = 1.96 * math.sqrt(0.25 / 9)
  assert (high - low) / 2 == pytest.approx(margin, rel=0.05)


def test_a_quantity_that_no_view_has_has_no_mean():
  objects = pictures([[47, 47, 48, 48]], count=2)
  tiny = crop.CropRange(area=(1e-4, 1e-4), aspect=(1.0, 1.0))
  rule = crop_statistics.Shown(1.0, 2.0)
  found = crop_statistics.simulate(objects, tiny, pairs=2, shown=rule)
  assert np.isnan(crop_statistics.mean(found, "main_hidden").value)
  assert np.isnan(crop_statistics.per_image(found, "main_hidden")).all()
  assert crop_statistics.mean(found, "no_object").value == 1


@pytest.mark.parametrize(
  "settings, message",
  [
    ({"crop_range": crop.CropRange(area=(0.5, 0.2))}, "area=(0.5, 0.2)"),
    ({"crop_range": crop.CropRange(area=(0.0, 1.0))}, "0 < min <= max <= 1"),
    ({"crop_range": crop.CropRange(aspect=(2.0, 1.0))}, "aspect=(2.0, 1.0)"),
    ({"pairs": 0}, "pairs=0: expected at least 1; change pairs"),
    ({"shown": crop_statistics.Shown(0.0, 1.0)}, "min_inside=0.0"),
    ({"shown": crop_statistics.Shown(0.5, -1.0)}, "min_filled=-1.0"),
  ],
)
def test_settings_out_of_range_are_refused(settings, message):
  settings = {"crop_range": _QUARTER, **settings}
  with pytest.raises(errors.UsageError) as caught:
    crop_statistics.simulate(pictures([[0, 0, 9, 9]], count=1), **settings)
  assert message in str(caught.value)


def test_images_without_objects_are_refused():
  objects = object_boxes.from_rows(
    [(9, 9), (9, 9)], [0], [[0, 0, 3, 3]], [0], ("a",)
  )
  with pytest.raises(errors.UsageError, match="2 images, 1 of them"):
    crop_statistics.simulate(objects, _QUARTER)


# A large a on the left, a small b within it, another small a on the right.
_BOXES = [[0, 0, 40, 40], [10, 10, 20, 20], [80, 0, 90, 10]]
_CLASSES = [0, 1, 0]
_LEFT, _RIGHT, _EMPTY = (0, 0, 40, 40), (0, 70, 30, 30), (60, 40, 20, 20)
_SMALL = (8, 8, 14, 14)  # Holds b, and is of nothing but the large a.


def contents(first, second, rule=None):
  objects = object_boxes.from_rows(
    [(100, 100)], [0, 0, 0], _BOXES, _CLASSES, ("a", "b")
  )
  found = crop_statistics.contents(
    objects, np.array([[first, second]]), rule or crop_statistics.Shown()
  )
  return {name: sums.item() for name, sums in found.sums.items()}, found


@pytest.mark.parametrize(
  "first, second, shared",
  [
    (
      _LEFT,
      _LEFT,
      {"same_object", "same_class", "main_in_both", "same_foremost"},
    ),
    # Two objects of one class, between which one of another class is listed.
    (_LEFT, _RIGHT, {"same_class"}),
    (_LEFT, _EMPTY, set()),
    (_EMPTY, _EMPTY, {"no_object"}),
    # The large a fills the view, so it is shown and foremost there.
    (
      _LEFT,
      _SMALL,
      {"same_object", "same_class", "main_in_both", "same_foremost"},
    ),
  ],
)
def test_quantities_that_two_views_share(first, second, shared):
  sums, _ = contents(first, second)
  names = {
    "same_object",
    "same_class",
    "main_in_both",
    "same_foremost",
    "no_object",
  }
  assert {name for name in names if sums[name]} == shared


def test_the_object_that_fills_most_of_a_view_is_foremost():
  # Only what lies inside counts where nothing is shown for filling a view.
  rule = crop_statistics.Shown(min_inside=0.5, min_filled=2.0)
  sums, _ = contents(_LEFT, _SMALL, rule)
  assert sums["same_object"] == 1  # b
  assert sums["same_foremost"] == 0  # a there, b here
  assert sums["main_in_both"] == 0


def test_views_without_objects_are_counted_one_by_one():
  sums, found = contents(_LEFT, _EMPTY)
  assert sums["empty_view"] == 1
  assert found.counts["empty_view"].item() == 2
  assert found.counts["no_object"].item() == 1


def test_the_hidden_part_counts_only_where_the_main_object_is_shown():
  lower_half = (20, 0, 40, 40)  # half of the large a
  sums, found = contents(lower_half, _RIGHT)
  assert sums["main_hidden"] == 0.5
  assert found.counts["main_hidden"].item() == 1
  assert found.counts["main_hidden_difference"].item() == 0
  assert found.cover.tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
  sums, found = contents(lower_half, _LEFT)
  assert sums["main_hidden_difference"] == 0.5
  assert found.cover.tolist() == [0, 0, 0, 0, 1, 0, 0, 1]


def test_overlap_is_intersection_over_union():
  sums, found = contents((0, 0, 20, 20), (10, 10, 20, 20))
  assert sums["overlap"] == pytest.approx(100 / 700)
  assert found.overlap.nonzero()[0].tolist() == [2]  # 0.10 to 0.15
  assert contents(_LEFT, _RIGHT)[0]["overlap"] == 0


def cropped(objects, cropper, crop_range=_QUARTER, **settings):
  """Means of a cropper's pairs."""
  cropping = crop_samplers.Cropping(cropper, view_size=8, **settings)
  return simulated(objects, crop_range, cropping=cropping)[1]


def test_background_is_what_no_box_covers_by_hand():
  # Two boxes that overlap cover 24 columns of 96; a third covers a corner.
  objects = pictures([[0, 0, 18, 96], [12, 0, 24, 96], [72, 72, 96, 96]])
  whole = crop.CropRange(area=(1.0, 1.0), aspect=(1.0, 1.0))
  _, means = simulated(objects, whole)
  assert means["background"] == pytest.approx(1 - 0.25 - 1 / 16, abs=1e-5)
  _, means = simulated(objects)
  expected = np.mean(
    [
      1
      - (max(24 - x, 0) * 48 + max(x + 48 - 72, 0) * max(y + 48 - 72, 0))
      / _CROP**2
      for x, y in itertools.product(_PLACES, _PLACES)
    ]
  )
  assert means["background"] == pytest.approx(expected, abs=5e-3)


def test_a_box_of_the_whole_image_makes_all_croppers_plain():
  objects = pictures([[0, 0, 96, 96]], count=50)
  _, plain = simulated(objects)
  for cropper in (
    croppers.ContrastiveCrop(alpha=1.0),
    croppers.ObjectAwareCrop(),
    croppers.BoxScaleCrop(),
  ):
    assert cropped(objects, cropper) == plain


def test_boxes_that_are_too_small_are_not_used():
  objects = pictures([[0, 0, 9, 9]], count=50)  # Below 1 % of 96 x 96 px.
  _, plain = simulated(objects)
  assert cropped(objects, croppers.BoxScaleCrop()) == plain
  found = cropped(objects, croppers.BoxScaleCrop(), min_area=0.0)
  assert found["main_in_both"] > plain["main_in_both"]


def test_box_scale_crops_of_one_of_two_objects_by_hand():
  # A view is a quarter of one object: it is filled by it, and the other is
  # never seen. The pair draws one object for both views.
  objects = pictures([[0, 0, 39, 39], [57, 57, 96, 96]])
  means = cropped(objects, croppers.BoxScaleCrop(context=(0.0, 0.0)))
  for name in ("same_object", "same_foremost"):
    assert means[name] == 1
  assert near(means["main_in_both"], 0.5)
  assert means["empty_view"] == 0
  assert means["background"] == pytest.approx(0, abs=1e-6)


def test_same_object_crops_never_lose_the_object():
  objects = pictures([[30, 39, 51, 69]])
  means = cropped(objects, croppers.SameObjectCrop(share=1.0))
  assert means["main_in_both"] == 1 and means["main_hidden"] == 0
  # The box, 21 px wide and 30 high, is in every view of 48 x 48 px.
  assert means["background"] == pytest.approx(1 - 630 / 48**2, abs=1e-5)


def test_object_aware_views_with_the_scene_by_enumeration():
  # One view is a quarter of the object, the other one anywhere.
  objects = pictures([[0, 0, 48, 48]])
  means = cropped(objects, croppers.ObjectAwareCrop(scene=True))
  share = np.mean(
    [
      max(48 - x, 0) * max(48 - y, 0) >= 0.5 * 48**2
      for x, y in itertools.product(_PLACES, _PLACES)
    ]
  )
  assert near(means["main_in_both"], share)
  assert near(means["empty_view"], (1 - share) / 2, pairs=80_000)


def test_contrastive_crops_around_all_objects_are_centered_between_them():
  objects = pictures([[40, 40, 44, 44], [52, 52, 56, 56]])
  # Centers of windows of 48 px lie in 40..56: at least 8 px beyond each box.
  means = cropped(objects, croppers.ContrastiveCrop(alpha=0.1), around_all=True)
  assert means["main_in_both"] == 1 and means["empty_view"] == 0


def grown(low, high, margin, least=0):
  """A side of a box in the picture, dilated and then widened."""
  low, high = low - margin * (high - low), high + margin * (high - low)
  low, high = max(math.floor(low), 0), min(math.ceil(high), _SIDE)
  missing = max(least - (high - low), 0)
  low = min(max(low - missing // 2, 0), _SIDE - (high - low) - missing)
  return low, max(high - low, least) + low


def box_scale_regions(box, rng):
  """Regions of two views, xmin, ymin, xmax, ymax."""
  sides = [grown(box[a], box[a + 2], 0.5) for a in (0, 1)]
  return [[edge for edges in zip(*sides, strict=True) for edge in edges]] * 2


def object_aware_regions(box, rng):
  """As `box_scale_regions`, for boxes of at least 40 px."""
  sides = [grown(box[a], box[a + 2], 0, least=40) for a in (0, 1)]
  margin = rng.uniform(0.1, 0.4)
  dilated = [grown(*side, margin) for side in sides]
  regions = [
    [edge for edges in zip(*them, strict=True) for edge in edges]
    for them in (sides, dilated)
  ]
  rng.shuffle(regions)
  return regions


@pytest.mark.parametrize(
  "cropper, regions_of",
  [
    (croppers.BoxScaleCrop(context=(0.5, 0.5)), box_scale_regions),
    (
      croppers.ObjectAwareCrop(dilation=(0.1, 0.4), min_side=40),
      object_aware_regions,
    ),
  ],
)
def test_a_croppers_pairs_agree_with_a_plain_loop(cropper, regions_of):
  boxes = [[3, 5, 40, 61], [50, 20, 90, 44], [60, 60, 75, 90]]
  crop_range = crop.CropRange(area=(0.1, 0.9))
  means = cropped(pictures(boxes), cropper, crop_range)
  rng = random.Random(0)
  found = {"same_object": [], "empty_view": [], "overlap": []}
  for _ in range(20_000):
    shown, views = [], []
    for x0, y0, x1, y1 in regions_of(boxes[rng.randrange(3)], rng):
      left, top, right, bottom = window(x1 - x0, y1 - y0, crop_range, rng)
      view = (left + x0, top + y0, right + x0, bottom + y0)
      size, parts = area(view), set()
      for number, other in enumerate(boxes):
        part = shared_area(other, view)
        if part >= 0.5 * area(other) or part >= 0.5 * size:
          parts.add(number)
      shown.append(parts)
      views.append(view)
      found["empty_view"].append(not parts)
    found["same_object"].append(bool(shown[0] & shown[1]))
    both = shared_area(*views)
    found["overlap"].append(both / (area(views[0]) + area(views[1]) - both))
  for name, values in found.items():
    error = np.std(values) / math.sqrt(len(values))
    assert abs(means[name] - np.mean(values)) < 6 * error, name


def area(box):
  return (box[2] - box[0]) * (box[3] - box[1])


def shared_area(one, other):
  wide = min(one[2], other[2]) - max(one[0], other[0])
  high = min(one[3], other[3]) - max(one[1], other[1])
  return max(wide, 0) * max(high, 0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
