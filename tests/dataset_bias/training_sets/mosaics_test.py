"""Layouts and pictures of composed scenes."""

import sys

import numpy as np
import pytest

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import mosaics


@pytest.fixture(name="photos")
def fixture_photos(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  return mosaics.photos(annotations, annotations.images, min_size=8)


def test_a_layout_is_a_function_of_seed_and_number(photos):
  given = mosaics.Composition()
  first = [mosaics.layout(given, photos, i) for i in range(20)]
  again = [mosaics.layout(given, photos, i) for i in reversed(range(20))]
  assert first == again[::-1] and len({str(one) for one in first}) == 20
  other = mosaics.layout(given._replace(seed=1), photos, 3)
  assert other != first[3]


def test_boxes_are_inside_of_the_wanted_size_and_overlap_little(photos):
  given = mosaics.Composition(max_overlap=0.2)
  counts, sides = set(), []
  for index in range(200):
    laid_out = mosaics.layout(given, photos, index)
    counts.add(len(laid_out.placed) + laid_out.without_place)
    for number, one in enumerate(laid_out.placed):
      low, high = np.array(one.box[:2]), np.array(one.box[2:])
      assert (low >= 0).all() and (high <= 160).all()
      sides.append((high - low).max() / 160)
      for other in laid_out.placed[:number]:
        inside = np.minimum(high, other.box[2:]) - np.maximum(
          low, other.box[:2]
        )
        smaller = min(
          np.prod(high - low),
          np.prod(np.subtract(other.box[2:], other.box[:2])),
        )
        assert np.prod(np.maximum(inside, 0)) <= 0.2 * smaller + 1e-6
  assert counts == {2, 3, 4, 5, 6}
  # Rounding to whole pixels and the scene's border change a box by a pixel.
  assert 0.2 - 1 / 160 < min(sides) and max(sides) < 0.5 + 1 / 160
  # Uniform in the logarithm: half of them are below sqrt(0.2 * 0.5).
  assert np.median(sides) == pytest.approx(0.316, abs=0.02)


def test_every_object_is_drawn_before_any_is_drawn_again(photos):
  given = mosaics.Composition(min_objects=1, max_objects=1)
  rows = [mosaics.layout(given, photos, i).placed[0].row for i in range(24)]
  assert sorted(rows[:12]) == sorted(rows[12:]) == list(range(12))
  assert rows[:12] != rows[12:]


def test_a_crowded_scene_leaves_objects_out(photos):
  given = mosaics.Composition(
    min_objects=9, max_objects=9, min_scale=0.6, max_scale=0.9, max_overlap=0.0
  )
  laid_out = mosaics.layout(given, photos, 0)
  assert laid_out.placed and laid_out.without_place
  assert len(laid_out.placed) + laid_out.without_place == 9


def test_an_object_fades_into_the_background_at_its_edge():
  placed = mosaics.Placed(0, (10, 20, 50, 60), (14, 24, 46, 56))
  beyond = mosaics.Placed(1, (-20, -20, 4, 4), (0, 0, 4, 4))
  laid_out = mosaics.Layout(0, 1.0, (0.5, 0.5), (placed, beyond), 0)
  background = np.full([70, 80, 3], 100, np.uint8)
  red = np.full([20, 20, 3], (200, 0, 0), np.uint8)
  scene = mosaics.draw(64, laid_out, background, [red, red])
  assert scene.shape == (64, 64, 3) and scene.dtype == np.uint8
  np.testing.assert_array_equal(scene[24:56, 14:46][:, :, 0], 200)
  row = scene[40, 8:16, 0].astype(int)
  assert (np.diff(row) >= 0).all() and row[:2].tolist() == [100, 100]
  assert 100 < row[3] < 200
  assert scene[63, 63].tolist() == [100] * 3 and scene[0, 0, 0] > 100
  without = mosaics.draw(64, laid_out, background, [None, None])
  assert (without == 100).all()


def test_small_backgrounds_are_continued_by_reflection():
  laid_out = mosaics.Layout(0, 1.0, (0.0, 0.0), (), 0)
  strip = np.arange(30, dtype=np.uint8)[None, :, None].repeat(64, 0)
  scene = mosaics.draw(64, laid_out, strip.repeat(3, 2), [])
  assert scene[5, :, 1].tolist() == [*range(30), *range(29, -1, -1), 0, 1, 2, 3]


def test_backgrounds_are_the_widest_parts_beside_all_boxes(tmp_path):
  # Boxes from x = 10 to 60 and y = 0 to 34 of 60 x 40 px leave 10 px.
  annotations = training_sets_reference.coco_set(tmp_path)
  with pytest.raises(errors.UsageError, match="24 px.*--backgrounds"):
    mosaics.photos(annotations, min_size=8)
  second = annotations._replace(
    boxes=annotations.boxes[:1],
    image_index=annotations.image_index[:1],
    class_ids=annotations.class_ids[:1],
    crowd=annotations.crowd[:1],
    difficult=annotations.difficult[:1],
    areas=annotations.areas[:1],
  )
  found = mosaics.photos(second, min_size=8)  # A box from x = 10 to 30.
  assert found.backgrounds.boxes.tolist() == [[30, 0, 60, 40]]
  assert len(found.boxes) == 1 and found.zoom > 1


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"image_size": 8}, "--image_size=8"),
    ({"min_objects": 0}, "--min_objects=0"),
    ({"min_objects": 7}, "--max_objects=6"),
    ({"min_scale": 0.0}, "--min_scale=0"),
    ({"max_scale": 1.1}, "--max_scale=1.1"),
    ({"max_overlap": -0.1}, "--max_overlap=-0.1"),
    ({"seed": -1}, "--seed=-1"),
  ],
)
def test_settings_out_of_range_are_refused(changes, message):
  with pytest.raises(errors.UsageError, match=message):
    mosaics.check(mosaics.Composition(**changes))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
