"""A comparison of reports as a picture: a panel for each protocol."""

import io
import math

from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib
from matplotlib.backends import backend_agg

from tf_ssl.comparison import compare as comparison_lib
from tf_ssl.reporting import colors

_COLUMNS = 3
_PANEL_WIDTH = 4.0  # inches
_MODEL_HEIGHT = 0.17  # of a model's mark in a row
_LEAST_SPAN = 10.0  # points of a share, or noise would fill a panel
_LETTERS = 11  # of the legend to an inch
_DPI = 150


def draw(comparison: comparison_lib.Comparison) -> bytes:
  """Draws all numbers as PNG; no display is needed.

  A panel has a row for each result of one protocol, and an axis of its own: two
  protocols share none. A dot is a mean, the bar Student's interval over seeds,
  the ticks on it are reports.
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
  figure = figure_lib.Figure(
    figsize=(_PANEL_WIDTH * columns, height * rows + 0.4),
    layout="constrained",
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.subplots(rows, columns, squeeze=False)
  for i, place in enumerate(axes.flat):
    if i < len(panels):
      _panel(place, comparison.models, *panels[i])
    else:
      place.set_visible(False)
  _legend(figure, comparison.models)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()


def _of_one_unit(protocol: comparison_lib.Protocol) -> list[list[str]]:
  """Names of results that may share an axis: all shares, others alone."""
  shown = [
    result
    for result, found in protocol.numbers.items()
    if any(number.mean is not None for number in found.values())
  ]
  shares = [name for name in shown if comparison_lib.is_share(name)]
  others = [[name] for name in shown if name not in shares]
  return ([shares] if shares else []) + others


def _panel(axes, models, protocol, results) -> None:
  for row, result in enumerate(results):
    for i, model in enumerate(models):
      number = protocol.numbers[result].get(model)
      if number is not None and number.mean is not None:
        # The models of a row stand below each other, in the legend's order.
        place = row + 0.7 * ((i + 0.5) / len(models) - 0.5)
        _mark(axes, place, number, colors.color(i))
  axes.set_yticks(range(len(results)))
  axes.set_yticklabels(
    [_plain(comparison_lib.name_in_words(name)) for name in results]
  )
  axes.set_ylim(len(results) - 0.5, -0.5)  # the first on top
  axes.margins(x=0.08)
  low, high = axes.get_xlim()
  if comparison_lib.is_share(results[0]) and high - low < _LEAST_SPAN:
    middle = (low + high) / 2
    axes.set_xlim(middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2)
  axes.grid(axis="x", color="#dddddd")
  axes.spines[["top", "right"]].set_visible(False)
  axes.set_title(_plain(protocol.label), fontsize=11)


def _mark(axes, place, number, color) -> None:
  if number.low is not None:
    axes.plot([number.low, number.high], [place] * 2, color=color, linewidth=2)
  if len(number.values) > 1:
    at = [place] * len(number.values)
    axes.plot(number.values, at, "|", color=color, markersize=8)
  axes.plot(number.mean, place, "o", color=color, markersize=5)


def _legend(figure, models) -> None:
  longest = max(len(model) for model in models) + 4
  room = figure.get_figwidth() * _LETTERS
  figure.legend(
    handles=[
      lines_lib.Line2D([], [], marker="o", color=colors.color(i))
      for i in range(len(models))
    ],
    labels=[_plain(model) for model in models],
    loc="outside upper center",
    ncols=max(1, min(len(models), int(room / longest))),
    frameon=False,
  )


def _plain(text: str) -> str:
  """Text that Matplotlib does not take for mathematics."""
  return text.replace("$", r"\$")
