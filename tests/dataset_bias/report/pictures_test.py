"""Images of a report, with boxes and views drawn into them."""

import io
import re
import sys

import numpy as np
import pytest
from PIL import Image

from tests.dataset_bias import diagnoses_reference
from tf_ssl.augment import crop
from tf_ssl.dataset_bias import object_boxes
from tf_ssl.dataset_bias.report import pictures, report


def test_unreadable_examples_are_skipped(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  for path in tmp_path.glob("*.png"):
    path.write_bytes(b"no picture")
  page = report.page(
    found, dict.fromkeys(("curves", "distributions", "co_occurrence"), b"")
  )
  assert "<figure>" not in page


def _pixels(example):
  return np.asarray(Image.open(io.BytesIO(example.picture)), int)


def _columns(pixels, color):
  """Where a color is seen, as far as a JPEG keeps it."""
  near = np.abs(pixels - color).sum(-1) < 60
  return np.flatnonzero(near.any(0))


def test_boxes_and_views_are_drawn_where_they_are(tmp_path):
  objects = diagnoses_reference.pictures([[24, 24, 72, 72]], 1)
  found = diagnoses_reference.of(objects, tmp_path)
  (example,) = pictures.examples(found)
  pixels = _pixels(example)
  # The image, 230 px high, and its views, which training makes square.
  assert pixels.shape == (230, 3 * 230 + 2 * 6, 3)
  scale = 230 / 96
  orange = _columns(pixels, (230, 159, 0))
  assert orange.min() == pytest.approx(24 * scale, abs=3)
  assert orange.max() == pytest.approx(72 * scale, abs=3)
  for color, left in (((0, 114, 178), 236), ((204, 121, 167), 472)):
    border = pixels[2:-2, [left + 1, left + 228]]
    assert np.abs(border - color).sum(-1).max() < 90


def test_captions_describe_the_views(tmp_path):
  whole = diagnoses_reference.pictures([[0, 0, 96, 96]], 2)
  for example in pictures.examples(diagnoses_reference.of(whole, tmp_path)):
    assert "show the same object foremost; " in example.caption
    assert "; 100 % of all pairs" in example.caption
  speck = diagnoses_reference.pictures([[47, 47, 48, 48]], 2)
  few = crop.CropRange(area=(0.01, 0.01), aspect=(1.0, 1.0))
  for example in pictures.examples(
    diagnoses_reference.of(speck, tmp_path, crop=few)
  ):
    assert "shows an object" in example.caption


def test_examples_are_sorted_by_agreement_of_their_views(tmp_path):
  boxes = [[0, 0, 4 * i, 4 * i] for i in range(1, 25)]
  objects = object_boxes.from_rows(
    np.full([24, 2], 96), np.arange(24), boxes, np.zeros(24), ("a",)
  )
  shown = pictures.examples(diagnoses_reference.of(objects, tmp_path))
  assert len(shown) == pictures.EXAMPLES
  shares = [
    float(re.search(r"; ([\d.]+) % of", example.caption)[1])
    for example in shown
  ]
  assert shares == sorted(shares) and shares[0] < 50 and shares[-1] == 100


def test_images_of_another_size_than_annotated_are_skipped(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.one_object(3), tmp_path)
  Image.new("RGB", (50, 96)).save(tmp_path / "1.png")
  names = [e.caption[:5] for e in pictures.examples(found)]
  assert sorted(names) == ["0.png", "2.png"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
