"""Three sentences, and the position of a dataset between the references."""

import sys

import numpy as np
import pytest

from tests.dataset_bias import diagnoses_reference
from tf_ssl.augment import crop
from tf_ssl.dataset_bias.report import summary


def test_the_references_have_their_positions(tmp_path):
  centric = diagnoses_reference.of(diagnoses_reference.one_object(), tmp_path)
  assert summary.position(centric) == pytest.approx(1, abs=0.1)
  text = " ".join(summary.sentences(centric))
  assert "object-centric" in text and "scene-centric" not in text
  scenes = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  assert summary.position(scenes) == pytest.approx(0, abs=0.1)
  assert "scene-centric" in summary.sentences(scenes)[1]


def test_three_sentences_hold_the_numbers(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  first, second, third = summary.sentences(found)
  # Objects per image and area of the largest: of the dataset, then of the
  # rendered objects and the rendered scenes.
  for value in ("2.0", "9.8 %", "rendered objects: 1.0", "objects: 63 %"):
    assert value in first
  own = found.at_recipe("this dataset")
  assert summary.percent(own["same_foremost"].value) in second
  assert summary.percent(own["no_object"].value) in second
  for area in (0.1, 0.9):
    assert summary.percent(area) in third
    value = found.own.curve[area]["main_hidden"].value
    assert summary.percent(value) in third


def test_crops_too_mild_give_no_position(tmp_path):
  mild = diagnoses_reference.of(
    diagnoses_reference.corners(),
    tmp_path,
    crop=crop.CropRange(area=(0.99, 1.0)),
  )
  assert np.isnan(summary.position(mild))
  assert "-centric" not in summary.sentences(mild)[1]


def test_datasets_beyond_the_references_are_described_as_such(tmp_path):
  far = diagnoses_reference.pictures([[0, 0, 12, 12], [84, 84, 96, 96]], 8)
  scenes = diagnoses_reference.of(far, tmp_path)
  assert summary.position(scenes) < 0
  assert "more scene-centric than" in summary.sentences(scenes)[1]
  full = diagnoses_reference.pictures([[0, 0, 96, 96]], 8)
  centric = diagnoses_reference.of(full, tmp_path)
  assert summary.position(centric) >= 1
  assert "more object-centric than" in summary.sentences(centric)[1]


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
def test_shares_are_rounded_to_their_precision(share, text):
  assert summary.percent(share) == text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
