"""Chart of a comparison: a panel for each protocol."""

import math

from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib

from tf_ssl.comparison import compare
from tf_ssl.reporting import charts

_COLUMNS = 3
_PANEL_WIDTH = 4.0  # Inches.
_MODEL_HEIGHT = 0.17  # Inches of a model's mark in a row.
_MIN_SPAN = 10.0  # Percentage points; narrower axes would magnify noise.


def draw(comparison: compare.Comparison) -> figure_lib.Figure:
  """Draws all numbers.

  A panel has the results of one protocol on its own axis. A dot is a mean, the
  bar its interval, and the ticks on it are the reports.
  """
  panels = [
    (protocol, results)
    for protocol in comparison.protocols
    for results in _of_one_unit(protocol)
  ]
  columns = max(1, min(_COLUMNS, len(panels)))
  rows = max(1, math.ceil(len(panels) / columns))
  most = max((len(results) for _, results in panels), default=1)
  height = 0.8 + most * (0.15 + _MODEL_HEIGHT * len(comparison.models))
  with charts.figure(_PANEL_WIDTH * columns, height * rows + 0.4) as figure:
    axes = figure.subplots(rows, columns, squeeze=False)
    for i, place in enumerate(axes.flat):
      if i < len(panels):
        _panel(place, comparison.models, *panels[i])
      else:
        place.set_visible(False)
    _legend(figure, comparison.models)
  return figure


def _of_one_unit(protocol: compare.Protocol) -> list[list[str]]:
  """Names of results by axis: all percentages on one, others on their own."""
  shown = [
    result
    for result, found in protocol.numbers.items()
    if any(number.mean is not None for number in found.values())
  ]
  percentages = [name for name in shown if compare.is_percentage(name)]
  others = [[name] for name in shown if name not in percentages]
  return ([percentages] if percentages else []) + others


def _panel(axes, models, protocol, results) -> None:
  for row, result in enumerate(results):
    for i, model in enumerate(models):
      number = protocol.numbers[result].get(model)
      if number is not None and number.mean is not None:
        # Models of a row from top to bottom in the order of the legend.
        place = row + 0.7 * ((i + 0.5) / len(models) - 0.5)
        _mark(axes, place, number, charts.color(i))
  axes.set_yticks(range(len(results)), [compare.readable(n) for n in results])
  axes.set_ylim(len(results) - 0.5, -0.5)  # The first row on top.
  axes.margins(x=0.08)
  low, high = axes.get_xlim()
  if compare.is_percentage(results[0]) and high - low < _MIN_SPAN:
    middle = (low + high) / 2
    axes.set_xlim(middle - _MIN_SPAN / 2, middle + _MIN_SPAN / 2)
  charts.clean(axes, grid="x")
  axes.set_title(protocol.label, fontsize=11)


def _mark(axes, place, number, color) -> None:
  if number.low is not None:
    axes.plot([number.low, number.high], [place] * 2, color=color, linewidth=2)
  if len(number.values) > 1:
    at = [place] * len(number.values)
    axes.plot(number.values, at, "|", color=color, markersize=8)
  axes.plot(number.mean, place, "o", color=color, markersize=5)


def _legend(figure, models) -> None:
  figure.legend(
    handles=[
      lines_lib.Line2D([], [], marker="o", color=charts.color(i))
      for i in range(len(models))
    ],
    labels=list(models),
    loc="outside upper center",
    ncols=charts.legend_columns(figure, models),
    frameon=False,
  )
