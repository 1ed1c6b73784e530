"""Charts of a diagnosis."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tests.dataset_bias import diagnoses_reference
from tf_ssl.dataset_bias import object_boxes
from tf_ssl.dataset_bias.report import charts

_CHARTS = (
  charts.curves,
  charts.distributions,
  charts.co_occurrence,
)


def _pixels(png):
  return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _shows(pixels, color):
  return bool((pixels == color).all(-1).any())


def test_every_dataset_has_its_color(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.one_object(2), tmp_path)
  for chart in (charts.curves, charts.distributions):
    pixels = _pixels(chart(found))
    for color in ((0, 114, 178), (230, 159, 0), (0, 158, 115)):
      assert _shows(pixels, color), (chart, color)


def test_an_estimate_is_marked_on_each_chart(tmp_path):
  objects = diagnoses_reference.corners(2)
  measured = diagnoses_reference.of(objects, tmp_path)
  guessed = diagnoses_reference.of(objects, tmp_path, estimated_by="guessing")
  for chart in _CHARTS:
    assert not _shows(_pixels(chart(measured)), (176, 0, 0)), chart
    assert _shows(_pixels(chart(guessed)), (176, 0, 0)), chart


@pytest.mark.parametrize("boxes", [1, 2])
def test_nothing_is_cut_off_where_classes_are_few(tmp_path, boxes):
  objects = diagnoses_reference.pictures([[10, 10, 50, 50]] * boxes, 2)
  found = diagnoses_reference.of(objects, tmp_path, estimated_by="guessing")
  pixels = _pixels(charts.co_occurrence(found))
  for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]):
    assert (edge == 255).all()


def _classes(count, folder):
  """Each image shows one class, the first of them twice."""
  objects = object_boxes.from_rows(
    np.full([count, 2], 96),
    [0, *range(count)],
    np.tile([[10, 10, 50, 50]], [count + 1, 1]),
    [0, *range(count)],
    tuple(f"class $ {i}" for i in range(count)),
  )
  return diagnoses_reference.of(objects, folder)


def test_the_matrix_shows_the_most_frequent_classes(tmp_path):
  few, most, more = (
    _pixels(charts.co_occurrence(_classes(count, tmp_path)))
    for count in (3, 30, 40)
  )
  assert few.shape < most.shape == more.shape
  # The darkest blue: all images of the first class show two of it; no other.
  assert _shows(few, (8, 48, 107)) and _shows(few, (247, 251, 255))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
