"""Figures of tables and orderings."""

import sys

import matplotlib.colors
import pytest

from tf_ssl.experiment.results import charts, orderings
from tf_ssl.reporting import charts as report_charts


def test_a_figure_has_every_column_model_and_seed():
  rows = [
    {"model": f"model {i}", "values": [[i, i + 1.0], [50.0], []]}
    for i in range(4)
  ]
  figure = charts.table(
    {
      "title": "T $x",
      "note": "",
      "unit": "%",
      "columns": ["occlusion", "illumination direction", "none"],
      "rows": rows,
    }
  )
  [axes] = figure.axes
  assert axes.get_title() == "T $x" and not axes.title.get_parse_math()
  assert len(axes.get_xticks()) == 3
  dots = [line for line in axes.lines if line.get_marker() == "."]
  assert [list(line.get_ydata()) for line in dots] == [
    values for row in rows for values in row["values"] if values
  ]
  [legend] = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == [
    row["model"] for row in rows
  ]
  colors = {line.get_color() for line in axes.lines}
  assert {report_charts.color(i) for i in range(4)} <= colors


def test_curves_have_a_panel_for_each_column_and_a_line_for_each_name():
  rows = [
    {"model": f"model {i}", "values": [[i, i + 2.0], [10.0 * i], []]}
    for i in range(4)
  ]
  figure = charts.table(
    {
      "title": "Area",
      "note": "",
      "unit": "%",
      "columns": ["occlusion", "kNN", "none"],
      "x_label": "area",
      "curves": {"MoCo": [[0.2, 1], [1.0, 0]], "PIRL": [[0.4, 2]]},
      "rows": rows,
    }
  )
  panels = figure.axes
  assert [axes.get_title() for axes in panels] == ["occlusion", "kNN", "none"]
  lines = [line for line in panels[0].lines if line.get_linewidth() == 1.2]
  found = [(list(one.get_xdata()), list(one.get_ydata())) for one in lines]
  assert found == [([0.2, 1.0], [2.0, 1.0]), ([0.4], [3.0])]
  assert panels[1].get_xticks().tolist() == [0.2, 0.4, 1.0]
  assert panels[0].get_xlabel() == "area"
  [legend] = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == ["MoCo", "PIRL"]


def test_each_run_has_a_learning_curve_in_the_color_of_its_model():
  runs = [
    {
      "model": model,
      "seed": seed,
      "curves": {"loss": [[0, 4.0], [9, 2.0 + seed]], **more},
    }
    for model, more in (
      ("MoCo", {"knn_accuracy": [[9, 0.5]]}),
      ("supervised", {}),
    )
    for seed in (3, 4)
  ]
  figure = charts.learning(runs)
  assert [axes.get_title() for axes in figure.axes] == [
    "kNN accuracy, %",
    "loss",
  ]
  accuracy, loss = figure.axes
  drawn = [list(line.get_ydata()) for line in loss.lines]
  assert drawn == [[4.0, 5.0], [4.0, 6.0]] * 2
  colors = [line.get_color() for line in loss.lines]
  assert colors[0] == colors[1] != colors[2] == colors[3]
  assert [
    list(line.get_ydata()) for line in accuracy.lines if len(line.get_xdata())
  ] == [[50.0]] * 2
  [legend] = figure.legends
  assert [t.get_text() for t in legend.get_texts()] == ["MoCo", "supervised"]
  assert charts.learning([]) is None
  assert charts.learning([{"model": "m", "seed": 0, "curves": {}}]) is None


def test_more_models_than_colors_differ_in_their_lines():
  runs = [
    {"model": f"m{n}", "seed": 0, "curves": {"loss": [[0, 1.0], [9, 0.5]]}}
    for n in range(9)
  ]
  figure = charts.learning(runs)
  [legend] = figure.legends
  for lines in (figure.axes[0].lines, legend.get_lines()):
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(looks) == 9


def _ordering(relation, mean, low, high, verdict, corrected=None):
  return {
    "left": "a",
    "relation": relation,
    "right": "b",
    "measure": "m",
    "verdict": verdict,
    "corrected": corrected or verdict,
    "difference": {"mean": mean, "low": low, "high": high, "count": 3},
  }


def test_differences_are_positive_in_the_expected_direction():
  figure = charts.orderings(
    [
      {
        "title": "t",
        "orderings": [
          _ordering(">", 2.0, 1.0, 3.0, orderings.CONFIRMED),
          _ordering(
            "<",
            2.0,
            1.0,
            3.0,
            orderings.REVERSED,
            orderings.NOT_SIGNIFICANT,
          ),
          _ordering(">=", 1.0, None, None, orderings.NOT_SIGNIFICANT),
        ],
      },
      {"title": "empty", "orderings": [{"difference": None}]},
      {
        "title": "not reported",
        "orderings": [_ordering(">", 2.0, 1.0, 3.0, orderings.NOT_LEARNED)],
      },
    ]
  )
  [axes] = figure.axes
  means = [line for line in axes.lines if line.get_marker() == "o"]
  assert [list(line.get_xdata())[0] for line in means] == [2.0, -2.0, 1.0]
  assert len({matplotlib.colors.to_hex(m.get_color()) for m in means}) == 3
  hollow = [m.get_markerfacecolor() == axes.get_facecolor() for m in means]
  assert hollow == [False, True, False]
  bars = [line for line in axes.lines if line.get_linewidth() == 2]
  assert [sorted(line.get_xdata()) for line in bars] == [[1, 3], [-3, -1]]


def test_without_measured_orderings_there_is_no_figure():
  assert charts.orderings([{"title": "t", "orderings": []}]) is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
