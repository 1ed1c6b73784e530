"""The chart of a comparison, by what is drawn."""

import sys

import numpy as np
import pytest

from tests.comparison import reports_reference as reference
from tf_ssl.comparison import chart


def test_the_chart_has_a_color_for_each_model(files):
  reports = files(*reference.runs("a", [1.0, 3.0]), *reference.runs("b", [5.0]))
  figure = chart.draw(reference.compared(reports))
  [axes] = figure.axes
  assert axes.get_title() == "knn"
  assert [label.get_text() for label in axes.get_yticklabels()] == ["top1, %"]
  [legend] = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
  colors = [line.get_color() for line in legend.get_lines()]
  dots = {
    line.get_color(): line.get_xdata()[0]
    for line in axes.lines
    if line.get_marker() == "o"
  }
  assert dots == {colors[0]: 2.0, colors[1]: 5.0}
  [interval] = [line for line in axes.lines if line.get_marker() == "None"]
  assert interval.get_color() == colors[0]
  reach = (
    12.7062  # t with 1 degree of freedom times deviation sqrt(2) / sqrt(2).
  )
  np.testing.assert_allclose(interval.get_xdata(), [2 - reach, 2 + reach], 1e-4)


def test_percentages_share_an_axis_and_other_results_have_their_own(files):
  results = {"top1_percent": 40.0, "top5_percent": 60.0, "loss": 2.5, "x": 7}
  figure = chart.draw(
    reference.compared(files(reference.report(results=results)))
  )
  names = [
    [label.get_text() for label in axes.get_yticklabels()]
    for axes in figure.axes
  ]
  assert names == [["top1, %", "top5, %"], ["loss"], ["x"]]


def test_panels_are_in_three_columns_and_the_rest_is_empty(files):
  reports = [
    reference.report(name, name, protocol=protocol)
    for protocol in "abcd"
    for name in ("m", "n")
  ]
  figure = chart.draw(reference.compared(files(*reports)))
  titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
  assert titles == list("abcd") and len(figure.axes) == 6
  tops = [axes.get_position().y0 for axes in figure.axes[:4]]
  assert tops[0] == tops[1] == tops[2] > tops[3]


def test_models_of_a_row_are_in_the_order_of_the_legend(files):
  reports = [reference.report(name, name) for name in ("a", "b", "c")]
  figure = chart.draw(reference.compared(files(*reports)))
  [axes], [legend] = figure.axes, figure.legends
  colors = [line.get_color() for line in legend.get_lines()]
  places = {line.get_color(): line.get_ydata()[0] for line in axes.lines}
  heights = [places[color] for color in colors]
  assert heights == sorted(heights) and -0.5 < heights[0] < heights[2] < 0.5
  low, high = axes.get_ylim()
  assert low > high  # The first row and model are on top.


def test_an_axis_of_percentages_spans_at_least_10_points(files):
  reports = [
    reference.report(name, name, results={"top1_percent": v, "loss": v})
    for name, v in (("a", 40.0), ("b", 41.0))
  ]
  figure = chart.draw(reference.compared(files(*reports)))
  percent, loss = [axes.get_xlim() for axes in figure.axes]
  np.testing.assert_allclose(percent, [35.5, 45.5])
  assert loss[1] - loss[0] < 2


def test_a_number_that_is_not_finite_has_no_mark(files):
  bad = reference.report("b", "b", results={"top1_percent": None, "y": None})
  figure = chart.draw(reference.compared(files(reference.report("a"), bad)))
  [axes] = figure.axes  # No axis for y, which has no number at all.
  assert [line.get_xdata()[0] for line in axes.lines] == [40.0]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
