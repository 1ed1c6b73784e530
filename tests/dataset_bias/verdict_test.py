"""Three sentences, and where a dataset lies between the references."""

import sys

import numpy as np
import pytest

from tests.dataset_bias import diagnoses_reference
from tf_ssl.augment import crop
from tf_ssl.dataset_bias import verdict


def test_the_references_are_told_apart_and_place_the_dataset(tmp_path):
  centric = diagnoses_reference.of(diagnoses_reference.one_object(), tmp_path)
  assert verdict.position(centric) == pytest.approx(1, abs=0.1)
  text = " ".join(verdict.sentences(centric))
  assert "object-centric" in text and "scene-centric" not in text
  scenes = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  assert verdict.position(scenes) == pytest.approx(0, abs=0.1)
  assert "scene-centric" in verdict.sentences(scenes)[1]


def test_there_are_three_sentences_with_the_numbers(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  first, second, third = verdict.sentences(found)
  assert first == (
    "an image with objects shows 2.0 of them (1.0 in rendered objects, 2.0 in "
    "rendered scenes), and the largest takes up 9.8 % of it (63 % in rendered "
    "objects, 9.8 % in rendered scenes)."
  )
  share = found.at_recipe("this dataset")["same_foremost"].value
  assert f"same object in {verdict.percent(share)} of pairs" in second
  assert "from a smallest area of 10 % to one of 90 %" in third


def test_crops_too_mild_tell_nothing(tmp_path):
  mild = diagnoses_reference.of(
    diagnoses_reference.corners(),
    tmp_path,
    crop=crop.CropRange(area=(0.99, 1.0)),
  )
  assert np.isnan(verdict.position(mild))
  assert "do not tell objects from scenes" in verdict.sentences(mild)[1]


def test_datasets_beyond_the_references_are_said_to_be(tmp_path):
  far = diagnoses_reference.pictures([[0, 0, 12, 12], [84, 84, 96, 96]], 8)
  scenes = diagnoses_reference.of(far, tmp_path)
  assert verdict.position(scenes) < 0
  assert (
    "scene-centric, more so than the rendered" in (verdict.sentences(scenes)[1])
  )
  whole = diagnoses_reference.pictures([[0, 0, 96, 96]], 8)
  centric = diagnoses_reference.of(whole, tmp_path)
  assert verdict.position(centric) >= 1
  assert (
    "object-centric, more so than the rendered"
    in (verdict.sentences(centric)[1])
  )


@pytest.mark.parametrize(
  ("share", "text"),
  [
    (None, "–"),
    (np.nan, "–"),
    (0.0, "0 %"),
    (0.0123, "1.2 %"),
    (0.0994, "9.9 %"),
    (0.0996, "10 %"),
    (1.0, "100 %"),
  ],
)
def test_shares_are_rounded_to_what_they_can_tell(share, text):
  assert verdict.percent(share) == text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
