"""Pictures of a report, against the images and features themselves."""

import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.invariance import pictures


def _values(result, row):
  return result.data.factor[result.index[row.rows]]


def test_example_sets_are_of_different_classes_in_the_order_of_the_factor(
  measured,
):
  for result in measured.results.sets:
    rows = pictures.of_sets(result)
    assert len(rows) == 3
    sets = [result.data.sets[result.index[row.rows]] for row in rows]
    for row, of_row in zip(rows, sets, strict=True):
      assert len(set(of_row)) == 1
      assert row.caption == result.data.set_names[of_row[0]]
      values = _values(result, row)
      if np.isfinite(values).all():
        assert (np.diff(values) >= 0).all()
      assert len(row.rows) == 6
    classes = [result.data.classes[result.index[row.rows[0]]] for row in rows]
    assert len(set(classes)) == 3


def test_units_are_shown_with_the_images_that_fire_them_most(measured):
  result = measured.sets("illumination_colour")
  score = result.models["green"].score
  rows = pictures.of_units(result, "green")
  assert 1 <= len(rows) <= 3
  units = [int(row.caption.split()[1].rstrip(":")) for row in rows]
  best = score.unit_invariance.max(axis=0)
  assert best[units[0]] == best.max()
  assert [best[unit] for unit in units] == sorted(
    (best[unit] for unit in units), reverse=True
  )
  # One unit for each class.
  classes = [int(score.unit_invariance[:, unit].argmax()) for unit in units]
  assert len(set(classes)) == len(classes)
  for row, unit, number in zip(rows, units, classes, strict=True):
    values = np.asarray(result.features["green"][:, unit])
    shown = values[row.rows]
    low = "low values" in row.caption
    expected = np.sort(values)[:8] if low else np.sort(values)[::-1][:8]
    np.testing.assert_array_equal(shown, expected)
    name = result.data.class_names[score.sets.classes[number]]
    assert name in row.caption and f"{best[unit]:.0f} %" in row.caption


def _decoded(uri):
  kind, _, data = uri.partition(";base64,")
  assert kind == "data:image/jpeg"
  with Image.open(io.BytesIO(base64.b64decode(data))) as image:
    return np.asarray(image.convert("RGB")).astype(float)


def _original(result, row):
  """An image of the folder, resized with Pillow."""
  index = result.index[row]
  images = result.data.images
  path = f"{images.root}/{images.files[index].decode()}"
  with Image.open(path) as image:
    return np.asarray(image.convert("RGB").resize((72, 72))).astype(float)


def test_a_strip_has_the_images_of_its_row_side_by_side(measured):
  result = measured.sets("position")
  rows = [
    pictures.Row("first", np.array([5, 0, 5])),
    pictures.Row("second", np.array([17])),
  ]
  strips = pictures.strips(result, rows)
  assert [caption for caption, _ in strips] == ["first", "second"]
  picture = _decoded(strips[0][1])
  width = picture.shape[1]
  gap = (width - 3 * 72) // 2
  assert picture.shape[0] == 72 and 0 < gap < 10
  for place, row in enumerate([5, 0, 5]):
    start = place * (72 + gap)
    shown = picture[:, start : start + 72]
    assert np.abs(shown - _original(result, row)).mean() < 6  # JPEG's error.


def test_an_image_that_is_gone_is_a_gray_square(measured, tmp_path):
  result = measured.sets("position")
  data = result.data
  gone = result._replace(
    data=data._replace(images=data.images._replace(root=str(tmp_path)))
  )
  [(_, uri)] = pictures.strips(gone, [pictures.Row("", np.array([3]))])
  assert np.abs(_decoded(uri) - 200).max() < 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
