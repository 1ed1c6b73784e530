"""Figures of the results. No display is needed."""

import io
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib
from matplotlib.backends import backend_agg

from tf_ssl.experiment.results import seed_statistics
from tf_ssl.reporting import colors

_DPI = 100
_WIDTH = 9.0  # inches: 900 px, what a page of text has room for
_GRAY = "#444444"
_LETTERS = 11  # of a heading or the legend to an inch, or less
_MARKERS = "osD^vPX"


def table(content: Mapping[str, Any]) -> bytes:
  """A table as PNG: means with intervals over seeds, and each seed's value.

  900 px wide, on white.

  Args:
    content: a table of `results.as_json`.
  """
  columns, rows = content["columns"], content["rows"]
  percent = f"{seed_statistics.CONFIDENCE * 100:g} %"
  longest = 6 + max(len(row["model"]) for row in rows)
  fit = max(1, min(len(rows), int(_LETTERS * _WIDTH / longest)))
  lines = 1 + -(-len(rows) // fit)
  figure = figure_lib.Figure(
    figsize=(_WIDTH, 3.6 + 0.22 * lines), layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for i, row in enumerate(rows):
    for c, values in enumerate(row["values"]):
      x = c + 0.8 * ((i + 0.5) / len(rows) - 0.5)
      _draw(axes, x, values, i, content["unit"])
  for c in range(1, len(columns)):
    axes.axvline(c - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
  axes.set_xlim(-0.5, len(columns) - 0.5)
  letters = max(int(_LETTERS * (_WIDTH - 1) / len(columns)), 8)
  axes.set_xticks(
    range(len(columns)),
    [textwrap.fill(_plain(name), letters) for name in columns],
  )
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
        color=colors.color(i),
        marker=_marker(i),
        linestyle="none",
        label=_plain(row["model"]),
      )
      for i, row in enumerate(rows)
    ],
    title=f"small dots: seeds; bars: {percent} intervals of their mean",
    title_fontsize=9,
    loc="outside lower center",
    ncols=fit,
    frameon=False,
    fontsize=9,
  )
  data = io.BytesIO()
  figure.savefig(data, format="png", dpi=_DPI)
  return data.getvalue()


def _marker(number: int) -> str:
  return _MARKERS[number % len(_MARKERS)]


def _draw(axes, x: float, values: list[float], number: int, unit: str) -> None:
  if not values:
    return
  color = colors.color(number)
  estimate = seed_statistics.t_interval(values)
  estimate = seed_statistics.within_unit(estimate, unit)
  if estimate.low is not None:
    below, above = estimate.mean - estimate.low, estimate.high - estimate.mean
    axes.errorbar(
      x,
      estimate.mean,
      yerr=[[below], [above]],
      fmt="none",
      ecolor=color,
      capsize=3,
      zorder=2,
    )
  axes.plot([x] * len(values), values, ".", color=_GRAY, markersize=3, zorder=4)
  axes.plot(
    x, estimate.mean, _marker(number), color=color, markersize=6, zorder=3
  )


def _plain(text: str) -> str:
  """A text that matplotlib does not take for mathematics."""
  return text.replace("$", r"\$")
