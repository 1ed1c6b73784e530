"""Figures of the results."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib

from tf_ssl.experiment.results import learning as learning_lib
from tf_ssl.experiment.results import orderings as orderings_lib
from tf_ssl.reporting import charts, statistics

DPI = 100
_WIDTH = 9.0  # Inches: 900 px, the width of a page of text.
_LETTERS = 11  # Of a heading in an inch.
_PANELS = 3  # Side by side, of curves.
_UPRIGHT = 4  # Numbers below a panel that are not turned.
_FEW = 10  # Points of a learning curve that are drawn as dots, too.
_MARKERS = "osD^vPX"
_LINES = ("-", "--", ":")  # For more models than colors.
_VERDICT_COLORS = {
  orderings_lib.CONFIRMED: charts.COLORS[2],
  orderings_lib.REVERSED: charts.COLORS[5],
  orderings_lib.NOT_SIGNIFICANT: "#999999",
}


def table(content: Mapping[str, Any]) -> figure_lib.Figure:
  """Draws a table: means with intervals over seeds, and the value of each seed.

  A table with curves has a panel for each column, with a curve for each name.

  Args:
    content: table of `results.as_json`.
  """
  if content.get("curves"):
    return _curves(content)
  columns, rows = content["columns"], content["rows"]
  names = [row["model"] for row in rows]
  longest = max(map(len, names)) + 6
  per_line = max(1, int(_LETTERS * _WIDTH / longest))
  lines = 1 + -(-len(rows) // per_line)
  with charts.figure(_WIDTH, 3.6 + 0.22 * lines) as figure:
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
      range(len(columns)), [textwrap.fill(name, letters) for name in columns]
    )
    axes.tick_params(axis="x", length=0)
    charts.clean(axes, grid="y")
    axes.set_ylabel(content["unit"])
    axes.set_title(content["title"], fontsize=11)
    _legend(figure, names)
  return figure


def _curves(content: Mapping[str, Any]) -> figure_lib.Figure:
  columns, rows, curves = (content[k] for k in ("columns", "rows", "curves"))
  down = -(-len(columns) // _PANELS)
  across = -(-len(columns) // down)
  with charts.figure(_WIDTH, 2.6 * down + 0.7) as figure:
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for c, (axes, column) in enumerate(
      zip(panels[: len(columns)], columns, strict=True)
    ):
      for number, points in enumerate(curves.values()):
        known = [(x, rows[row]["values"][c]) for x, row in points]
        known = [(x, values) for x, values in known if values]
        axes.plot(
          [x for x, _ in known],
          [statistics.mean_interval(values).mean for _, values in known],
          color=charts.color(number),
          linewidth=1.2,
          zorder=1,
        )
        for x, values in known:
          _draw(axes, x, values, number, content["unit"])
      places = sorted({x for of in curves.values() for x, _ in of})
      axes.set_xticks(places)
      turn = 60 if len(places) > _UPRIGHT else 0
      axes.tick_params(axis="x", labelsize=8, labelrotation=turn)
      charts.clean(axes, grid="y")
      axes.set_title(column, fontsize=9)
      axes.set_xlabel(content["x_label"], fontsize=8)
      axes.set_ylabel(content["unit"], fontsize=8)
    for axes in panels[len(columns) :]:
      axes.set_visible(False)
    figure.suptitle(content["title"], fontsize=11)
    _legend(figure, list(curves))
  return figure


def _legend(figure: figure_lib.Figure, names: Sequence[str]) -> None:
  figure.legend(
    handles=[
      lines_lib.Line2D(
        [],
        [],
        color=charts.color(i),
        marker=_marker(i),
        linestyle="none",
        label=name,
      )
      for i, name in enumerate(names)
    ],
    title="small dots: seeds; bars:"
    f" {statistics.CONFIDENCE:.0%} intervals of their mean",
    title_fontsize=9,
    loc="outside lower center",
    ncols=charts.legend_columns(figure, names),
    frameon=False,
    fontsize=9,
  )


def learning(
  runs: Sequence[Mapping[str, Any]],
) -> figure_lib.Figure | None:
  """Draws a learning curve for each run, in the color and line of its model.

  Args:
    runs: curves of `learning.collect`.

  Returns:
    The figure, with a panel for each metric that a run has; None without
    curves.
  """
  shown = [
    (metric, *what)
    for metric, what in learning_lib.METRICS.items()
    if any(metric in run["curves"] for run in runs)
  ]
  if not shown:
    return None
  names = list(dict.fromkeys(run["model"] for run in runs))
  with charts.figure(_WIDTH, 3.6) as figure:
    panels = figure.subplots(1, len(shown), squeeze=False).ravel()
    for axes, (metric, heading, factor) in zip(panels, shown, strict=True):
      for run in runs:
        points = run["curves"].get(metric, ())
        axes.plot(
          [step for step, _ in points],
          [factor * value for _, value in points],
          **_line(names.index(run["model"])),
          marker="." if len(points) <= _FEW else None,
          linewidth=1,
          alpha=0.8,
        )
      axes.set_title(heading, fontsize=9)
      axes.set_xlabel("step", fontsize=8)
      charts.clean(axes, grid="y")
    figure.legend(
      handles=[
        lines_lib.Line2D([], [], **_line(i), label=name)
        for i, name in enumerate(names)
      ],
      title="one line for each seed",
      title_fontsize=9,
      loc="outside lower center",
      ncols=charts.legend_columns(figure, names),
      frameon=False,
      fontsize=9,
    )
  return figure


def _line(number: int) -> dict[str, str]:
  """Color and line style of the model with this number, from 0."""
  style = _LINES[number // len(charts.COLORS) % len(_LINES)]
  return {"color": charts.color(number), "linestyle": style}


def orderings(
  experiments: Sequence[Mapping[str, Any]],
) -> figure_lib.Figure | None:
  """Draws the differences of all reported orderings with their intervals.

  A difference is positive if the models are in the expected order. The dot of a
  significant one is hollow if Holm's correction makes it not significant.

  Args:
    experiments: contents of `results.as_json`.

  Returns:
    The figure; None if no ordering is reported.
  """
  groups = [
    (content["title"], measured)
    for content in experiments
    if (measured := [o for o in content["orderings"] if _is_drawn(o)])
  ]
  if not groups:
    return None
  heights = [len(measured) + 1.5 for _, measured in groups]
  with charts.figure(_WIDTH, 0.17 * sum(heights) + 0.8) as figure:
    panels = figure.subplots(
      len(groups), sharex=True, squeeze=False, height_ratios=heights
    ).ravel()
    for axes, (title, measured) in zip(panels, groups, strict=True):
      for row, one in enumerate(measured):
        _difference(axes, row, one)
      axes.axvline(0, color=charts.GRAY, linewidth=0.8)
      axes.set_yticks(
        range(len(measured)),
        [
          f"{one['left']} {one['relation']} {one['right']}   {one['measure']}"
          for one in measured
        ],
        fontsize=7,
      )
      axes.set_ylim(len(measured) - 0.3, -0.7)
      axes.set_title(title, fontsize=9, loc="right")
      charts.clean(axes, grid="x")
    panels[-1].set_xlabel(
      "difference in the expected direction, points", fontsize=9
    )
    figure.legend(
      handles=[
        lines_lib.Line2D([], [], color=color, marker="o", label=verdict)
        for verdict, color in _VERDICT_COLORS.items()
      ],
      loc="outside lower center",
      ncols=len(_VERDICT_COLORS),
      frameon=False,
      fontsize=9,
    )
  return figure


def _is_drawn(ordering: Mapping[str, Any]) -> bool:
  return bool(ordering["difference"]) and ordering["verdict"] in _VERDICT_COLORS


def _difference(axes, row: int, ordering: Mapping[str, Any]) -> None:
  sign = -1 if ordering["relation"] == "<" else 1
  mean, low, high = (ordering["difference"][k] for k in ("mean", "low", "high"))
  color = _VERDICT_COLORS[ordering["verdict"]]
  if low is not None:
    axes.plot([sign * low, sign * high], [row, row], color=color, linewidth=2)
  holds = ordering["corrected"] == ordering["verdict"]
  face = color if holds else axes.get_facecolor()
  axes.plot(
    sign * mean, row, "o", color=color, markerfacecolor=face, markersize=4
  )


def _marker(number: int) -> str:
  return _MARKERS[number % len(_MARKERS)]


def _draw(axes, x: float, values: list[float], number: int, unit: str) -> None:
  if not values:
    return
  color = charts.color(number)
  mean, low, high = statistics.within_unit(
    statistics.mean_interval(values), unit
  )
  if low is not None:
    axes.errorbar(
      x,
      mean,
      yerr=[[mean - low], [high - mean]],
      fmt="none",
      ecolor=color,
      capsize=3,
      zorder=2,
    )
  axes.plot(
    [x] * len(values), values, ".", color=charts.GRAY, markersize=3, zorder=4
  )
  axes.plot(x, mean, _marker(number), color=color, markersize=6, zorder=3)
