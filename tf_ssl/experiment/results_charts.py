"""Figures of the results. No display is needed."""

import io
from collections.abc import Mapping
from typing import Any

from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib
from matplotlib.backends import backend_agg

from tf_ssl.experiment import seed_statistics
from tf_ssl.ops import colours

_DPI = 150
_GREY = "#444444"
_INCHES = 0.34  # of a model within a column
_LETTERS = 10  # of the legend to an inch
_MARKERS = "osD^vPX"


def table(content: Mapping[str, Any]) -> bytes:
  """A table as PNG: means with intervals over seeds, and each seed's value.

  Args:
    content: a table of `results.as_json`.
  """
  columns, rows = content["columns"], content["rows"]
  width = max(5.0, 1.0 + len(columns) * max(1.0, _INCHES * len(rows)))
  labels = [row["model"] for row in rows]
  longest = 6 + max(len(label) for label in labels)
  fit = max(1, min(len(rows), int(_LETTERS * width / longest)))
  lines = -(-len(rows) // fit)
  figure = figure_lib.Figure(
    figsize=(width, 3.6 + 0.22 * lines), layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for i, row in enumerate(rows):
    for c, values in enumerate(row["values"]):
      x = c + 0.8 * ((i + 0.5) / len(rows) - 0.5)
      _draw(axes, x, values, i)
  for c in range(1, len(columns)):
    axes.axvline(c - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
  axes.set_xlim(-0.5, len(columns) - 0.5)
  axes.set_xticks(range(len(columns)), [_wrapped(name) for name in columns])
  axes.tick_params(axis="x", length=0)
  axes.grid(axis="y", color="#eeeeee", zorder=0)
  axes.set_axisbelow(True)
  axes.set_ylabel(_plain(content["unit"]))
  axes.set_title(_plain(content["title"]), fontsize=11)
  axes.spines[["top", "right"]].set_visible(False)
  figure.legend(
    handles=[
      lines_lib.Line2D(
        [],
        [],
        color=colours.colour(i),
        marker=_MARKERS[i % len(_MARKERS)],
        linestyle="none",
        label=_plain(label),
      )
      for i, label in enumerate(labels)
    ],
    loc="outside lower center",
    ncols=fit,
    frameon=False,
    fontsize=9,
  )
  data = io.BytesIO()
  figure.savefig(data, format="png", dpi=_DPI)
  return data.getvalue()


def _draw(axes, x: float, values: list[float], number: int) -> None:
  if not values:
    return
  colour = colours.colour(number)
  estimate = seed_statistics.t_interval(values)
  if estimate.low is not None:
    axes.errorbar(
      x,
      estimate.mean,
      yerr=estimate.high - estimate.mean,
      fmt="none",
      ecolor=colour,
      capsize=3,
      zorder=2,
    )
  axes.plot([x] * len(values), values, ".", color=_GREY, markersize=3, zorder=4)
  axes.plot(
    x,
    estimate.mean,
    _MARKERS[number % len(_MARKERS)],
    color=colour,
    markersize=6,
    zorder=3,
  )


def _wrapped(name: str) -> str:
  """A heading on two lines where it is long."""
  words = _plain(name).split(" ")
  if len(name) < 12 or len(words) < 2:
    return " ".join(words)
  half = (len(words) + 1) // 2
  return " ".join(words[:half]) + "\n" + " ".join(words[half:])


def _plain(text: str) -> str:
  """A text that matplotlib does not take for mathematics."""
  return text.replace("$", r"\$")
