"""The style of charts, and pictures inside pages."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.reporting import charts


def test_a_dollar_sign_in_a_name_is_drawn_literally():
  with charts.figure(3, 2) as figure:
    axes = figure.add_subplot()
    axes.set_title("$_{")  # No valid formula.
    axes.set_xticks([0, 1], ["$a$", "b"])
  data = charts.png(figure, dpi=50)
  assert Image.open(io.BytesIO(data)).size == (150, 100)
  assert not axes.get_xticklabels()[0].get_parse_math()


def test_a_legend_has_as_many_columns_as_fit():
  with charts.figure(6, 2) as figure:
    assert charts.legend_columns(figure, ["a", "b"]) == 2
    assert charts.legend_columns(figure, ["a" * 27, "b"] * 2) == 2
    assert charts.legend_columns(figure, ["a" * 200, "b"]) == 1


def test_images_are_joined_with_white_gaps():
  black = np.zeros([2, 3, 3], np.uint8)
  joined = charts.side_by_side([black, black], gap=2)
  assert joined.shape == (2, 8, 3)
  assert joined[0, :, 0].tolist() == [0, 0, 0, 255, 255, 0, 0, 0]


def test_a_data_uri_names_its_media_type():
  assert charts.data_uri(b"a", "image/jpeg") == "data:image/jpeg;base64,YQ=="


def test_classes_of_a_palette_have_distinct_colors():
  palette = charts.palette(150)
  assert ((palette >= 0) & (palette <= 1)).all()
  assert len(np.unique((255 * palette).round(), axis=0)) == 150
  few = palette[:21]
  distances = np.abs(few[:, None] - few).max(axis=-1)
  np.fill_diagonal(distances, 1)
  assert distances.min() > 0.15


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
