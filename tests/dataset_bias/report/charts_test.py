"""Charts of a diagnosis: series, labels and marks of their figures."""

import sys

import numpy as np
import pytest
from matplotlib import colors

from tests.dataset_bias import diagnoses_reference
from tf_ssl.dataset_bias import object_boxes
from tf_ssl.dataset_bias.report import charts
from tf_ssl.reporting import charts as reporting

_CHARTS = (charts.curves, charts.distributions, charts.co_occurrence)


def _legend(figure):
  """{label: color} of a figure's legend."""
  (legend,) = figure.legends
  return {
    text.get_text(): colors.to_hex(
      handle.get_edgecolor()
      if hasattr(handle, "get_edgecolor")
      else handle.get_color()
    )
    for text, handle in zip(
      legend.get_texts(), legend.legend_handles, strict=True
    )
  }


def test_every_dataset_has_its_color(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.one_object(2), tmp_path)
  for chart in (charts.curves, charts.distributions):
    legend = _legend(chart(found))
    assert list(legend) == list(found.described)
    assert list(legend.values()) == [
      reporting.color(number).lower() for number in range(3)
    ]


def test_curves_hold_the_means_and_mark_the_recipe(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(2), tmp_path)
  panel = charts.curves(found).axes[0]
  own, *_, recipe = panel.lines
  assert own.get_xdata().tolist() == [0.1, 0.2, 0.9]
  assert own.get_ydata().tolist() == [
    means["same_foremost"].value for means in found.own.curve.values()
  ]
  assert set(recipe.get_xdata()) == {0.2}


def test_histograms_are_shares_of_all_images(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(2), tmp_path)
  objects, *others = charts.distributions(found).axes
  values, edges, _ = objects.patches[0].get_data()
  (middle,) = np.flatnonzero(values)
  assert (edges[middle], values[middle]) == (1.5, 1)  # Two objects each.
  for panel in others:
    for drawn in panel.patches:
      assert drawn.get_data().values.sum() == pytest.approx(1)


def test_an_estimate_is_marked_on_each_chart(tmp_path):
  objects = diagnoses_reference.corners(2)
  measured = diagnoses_reference.of(objects, tmp_path)
  estimated = diagnoses_reference.of(objects, tmp_path, estimated_by="looks")
  for chart in _CHARTS:
    assert not chart(measured).get_suptitle()
    assert "ESTIMATE" in chart(estimated).get_suptitle()


@pytest.mark.parametrize("boxes", [1, 2])
def test_nothing_is_cut_off_where_classes_are_few(tmp_path, boxes):
  objects = diagnoses_reference.pictures([[10, 10, 50, 50]] * boxes, 2)
  found = diagnoses_reference.of(objects, tmp_path, estimated_by="looks")
  figure = charts.co_occurrence(found)
  figure.draw_without_rendering()
  for axes in figure.axes:
    inside = axes.get_tightbbox()
    assert figure.bbox.x0 <= inside.x0 and inside.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= inside.y0 and inside.y1 <= figure.bbox.y1


def _classes(count, folder):
  """Each image shows one class, the first image shows its class twice."""
  objects = object_boxes.from_rows(
    np.full([count, 2], 96),
    [0, *range(count)],
    np.tile([[10, 10, 50, 50]], [count + 1, 1]),
    [0, *range(count)],
    tuple(f"class $ {i}" for i in range(count)),
  )
  return diagnoses_reference.of(objects, folder)


@pytest.mark.parametrize(("count", "shown"), [(3, 3), (30, 30), (40, 30)])
def test_the_matrix_shows_the_most_frequent_classes(tmp_path, count, shown):
  axes, _ = charts.co_occurrence(_classes(count, tmp_path)).axes
  labels = [text.get_text() for text in axes.get_yticklabels()]
  assert labels == [f"class $ {i} (1)" for i in range(shown)]
  expected = np.zeros([shown, shown])
  expected[0, 0] = 1  # The only class with two objects in an image.
  np.testing.assert_array_equal(axes.images[0].get_array(), expected)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
