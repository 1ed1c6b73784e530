"""A diagnosis as rows of JSON and CSV."""

import csv
import json
import sys

import numpy as np
import pytest

from tests.dataset_bias import diagnoses_reference
from tf_ssl.augment import crop
from tf_ssl.dataset_bias import crop_statistics, object_boxes
from tf_ssl.dataset_bias.report import report, tables


def test_images_without_objects_are_not_cropped_but_counted(tmp_path):
  objects = diagnoses_reference.one_object()
  half = object_boxes.from_rows(
    objects.sizes,
    np.arange(0, 8, 2),
    objects.boxes[::2],
    objects.classes[::2],
    objects.class_names,
  )
  found = diagnoses_reference.of(half, tmp_path)
  assert found.own.inhabited.tolist() == [0, 2, 4, 6]
  row = tables.overview(found)[0]
  assert (row["images"], row["images_without_objects"]) == (8, 4)
  assert row["objects"] == 1
  report.write(found, str(tmp_path / "out"))
  with open(tmp_path / "out" / "per_image.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert [row["objects"] for row in rows] == ["1", "0"] * 4
  assert [bool(row["same_object"]) for row in rows] == [True, False] * 4


def test_an_overview_by_hand(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  own, objects, scenes = tables.overview(found)
  assert own.pop("dataset") == "this dataset"
  assert own == {
    "images": 8,
    "images_without_objects": 0,
    "objects": 2,
    "classes": 2,
    "entropy": 1,  # one bit: two classes, each as often
    "largest_area": 900 / 9216,
    # 33 of 48 pixels from the middle along both axes
    "centeredness": pytest.approx(1 - 33 / 48),
    "class_entropy": 1,
    "companion_entropy": 0,  # the other one is of the other class
  }
  assert scenes == {"dataset": "rendered scenes", **own}
  # an object alone has no companion
  assert objects["objects"] == 1 and objects["companion_entropy"] is None


def test_a_curve_has_a_row_for_each_dataset_area_and_quantity(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(2), tmp_path)
  rows = tables.curve_rows(found)
  keys = {(row["dataset"], row["min_area"], row["quantity"]) for row in rows}
  assert len(keys) == len(rows) == 3 * 3 * len(crop_statistics.QUANTITIES)
  assert {row["min_area"] for row in rows if row["is_recipe"]} == {0.2}


def test_undefined_values_alone_are_null(tmp_path):
  mild = crop.CropRange(area=(0.99, 1.0))
  found = diagnoses_reference.of(
    diagnoses_reference.corners(2), tmp_path, crop=mild
  )
  content = tables.as_json(found)
  assert content["position"] is None
  json.dumps(content, allow_nan=False)
  for of in content["distributions"].values():
    assert sum(of["overlap"]) == pytest.approx(1)
    assert sum(of["visible_share_of_main"]) == pytest.approx(1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
