"""Tests of tf_ssl.dataset_bias.remedy."""

import sys

import numpy as np
import pytest

from tf_ssl.augment import crop
from tf_ssl.dataset_bias import (
  crop_statistics,
  find_objects,
  object_boxes,
  remedy,
)


def means(foremost, overlap):
  found = {n: crop_statistics.Mean(0, 0, 0) for n in crop_statistics.QUANTITIES}
  for name, value in (("same_foremost", foremost), ("overlap", overlap)):
    found[name] = crop_statistics.Mean(value, value, value)
  return found


@pytest.mark.parametrize(
  "others, expected",
  [
    ({"a": (0.6, 0.3), "b": (0.7, 0.35)}, "b"),
    ({"a": (0.6, 0.3), "b": (0.7, 0.41)}, "a"),  # b's views are almost copies.
    ({"a": (0.54, 0.3)}, remedy.PLAIN),  # No gain of 5 points.
  ],
)
def test_the_cropper_with_the_most_pairs_of_one_object_is_chosen(
  others, expected
):
  found = {remedy.PLAIN: means(0.5, 0.3)}
  found |= {name: means(*values) for name, values in others.items()}
  assert remedy.choose(found) == expected


def scenes(boxes):
  return object_boxes.from_rows(
    np.full([6, 2], 96),
    np.repeat(np.arange(6), len(boxes)),
    np.tile(boxes, [6, 1]),
    np.zeros(6 * len(boxes), int),
    ("a",),
  )


def compared(objects, boxes="b.json", images=None):
  crop_range = crop.CropRange()
  plain = crop_statistics.simulate(objects, crop_range, pairs=64)
  return remedy.compare(
    objects,
    crop_range,
    plain={n: crop_statistics.mean(plain, n) for n in plain.sums},
    boxes=boxes,
    images=images,
    view_size=16,
  )


def test_scenes_of_small_objects_need_a_cropper_and_its_gin_lines():
  corners = [[0, 0, 30, 30], [66, 66, 96, 96], [0, 66, 30, 96]]
  found = compared(scenes(corners))
  assert list(found.means) == [c.name for c in remedy.candidates(16)]
  assert found.chosen != remedy.PLAIN
  include, boxes, *_ = found.gin
  assert include.startswith('include "gin_configs/base/crops_')
  assert boxes == "BOXES = 'b.json'"
  estimated = compared(scenes(corners), boxes=None)
  write, boxes = estimated.gin[1:3]
  assert "tools.find_objects --images=photos/ --output_dir=objects" in write
  assert boxes == f"BOXES = 'objects/{find_objects.BOXES_FILE}'"
  named = compared(scenes(corners), boxes=None, images="my photos")
  assert "tools.find_objects '--images=my photos'" in named.gin[1]


def test_an_object_that_fills_the_image_needs_none():
  found = compared(scenes([[0, 0, 96, 96]]))
  assert found.chosen == remedy.PLAIN and found.gin == ()


def test_every_fragment_exists(repository):
  for candidate in remedy.candidates(16)[1:]:
    path = repository / "gin_configs" / "base" / f"{candidate.fragment}.gin"
    text = path.read_text()
    for binding in candidate.bindings:
      assert f"{binding.split(' ')[0]} = " in text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
