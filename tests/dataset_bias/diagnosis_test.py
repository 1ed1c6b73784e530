"""Settings of a diagnosis, and curves over the smallest crop area."""

import sys

import pytest

from tests.dataset_bias import diagnoses_reference
from tf_ssl import errors
from tf_ssl.augment import crop
from tf_ssl.dataset_bias import diagnosis


def test_the_curve_ends_at_the_largest_area_and_holds_the_recipe():
  settings = diagnosis.Settings(crop=crop.CropRange(area=(0.3, 0.5)))
  assert settings.curve == [0.02, 0.05, 0.08, 0.14, 0.2, 0.3, 0.35, 0.5]


def test_milder_crops_share_more(tmp_path):
  curve = diagnoses_reference.of(
    diagnoses_reference.corners(), tmp_path
  ).own.curve
  values = [curve[area]["same_object"].value for area in (0.1, 0.2, 0.9)]
  assert values == sorted(values) and values[2] == 1
  hidden = [curve[area]["main_hidden"].value for area in (0.1, 0.9)]
  assert hidden[0] > hidden[1]


@pytest.mark.parametrize("text", ["0.2", "a,b", "1,2,3"])
def test_a_range_that_is_not_two_numbers_is_refused(text):
  with pytest.raises(errors.UsageError, match=f"{text}.*--area"):
    diagnosis.crop_range(text, None)


def test_ranges_are_read_from_text():
  assert diagnosis.crop_range(None, None) == crop.CropRange()
  assert diagnosis.crop_range("0.08,1", "0.5,2") == crop.CropRange(
    (0.08, 1.0), (0.5, 2.0)
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
