"""Charts of runs: learning curves, speed and waiting, over the steps."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
from matplotlib import figure as figure_lib
from matplotlib import ticker

from tf_ssl.comparison import runs as runs_lib
from tf_ssl.reporting import charts

# Inches: a phone shows a chart of this width with readable letters.
_SIZE = (4.8, 3.0)
_FEW = 40  # Points of a curve that are drawn as dots, too.


class Metric(NamedTuple):
  """A metric with a chart of its own.

  Attributes:
    name: name in metrics.jsonl.
    title: title of its chart.
    scale: factor of the values in the chart, 100 for percentages.
    per_method: whether runs of different methods get charts of their own,
      because their values mean different things.
  """

  name: str
  title: str
  scale: float = 1.0
  per_method: bool = False


METRICS = (
  Metric("loss", "loss", per_method=True),
  Metric("knn_accuracy", "kNN accuracy, %", 100.0),
  Metric("linear_accuracy", "linear-probe accuracy, %", 100.0),
  Metric("images_per_second", "images/s"),
  Metric("data_wait_fraction", "data wait, % of the time", 100.0),
  Metric("gradient_norm", "norm of the gradient", per_method=True),
)


class Chart(NamedTuple):
  """A chart and what it shows.

  Attributes:
    title: title of the chart.
    figure: Matplotlib's figure.
    labels: labels of the runs that are drawn.
  """

  title: str
  figure: figure_lib.Figure
  labels: Sequence[str]


def colors(count: int) -> list[str]:
  """A color for each of `count` runs, "#rrggbb"."""
  if count <= len(charts.COLORS):
    return list(charts.COLORS[:count])
  return [mpl.colors.to_hex(rgb) for rgb in charts.palette(count)]


def draw(runs: Sequence[runs_lib.Run]) -> list[Chart]:
  """Draws each metric that a run has."""
  drawn = []
  of_run = dict(
    zip((run.label for run in runs), colors(len(runs)), strict=True)
  )
  methods = list(dict.fromkeys(run.method for run in runs))
  for metric in METRICS:
    groups = [(metric.title, runs)]
    if metric.per_method and len(methods) > 1:
      groups = [
        (
          f"{metric.title}, {method or 'unknown method'}",
          [run for run in runs if run.method == method],
        )
        for method in methods
      ]
    for title, group in groups:
      curves = {run.label: run.curve(metric.name) for run in group}
      curves = {k: v for k, v in curves.items() if len(v[0])}
      if curves:
        figure = _curves(title, curves, of_run, metric.scale)
        drawn.append(Chart(title, figure, list(curves)))
  return drawn


def _curves(title, curves, of_run, scale) -> figure_lib.Figure:
  with charts.figure(*_SIZE) as figure:
    axes = figure.subplots()
    for label, (steps, values) in curves.items():
      axes.plot(
        steps,
        scale * values,
        color=of_run[label],
        marker="o" if len(steps) <= _FEW else None,
        markersize=3,
        linewidth=1.3,
      )
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    axes.set_xlabel("step")
    axes.set_title(title, fontsize=11)
    charts.clean(axes)
  return figure
