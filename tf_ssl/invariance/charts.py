"""Charts of a measurement: bars, a radar, curves. No display is needed."""

import io
import math

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib
from matplotlib import patches as patches_lib
from matplotlib import patheffects
from matplotlib.backends import backend_agg

from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import measurement
from tf_ssl.reporting import colors

_GRAY = "#444444"
_HALO = patheffects.withStroke(linewidth=4, foreground="white")
_DPI = 150
_LEAST_OF_A_RADAR = 3  # corners
_LETTERS = 11  # of the legend to an inch


def overview(results: measurement.Results) -> bytes:
  """The scores of all models as PNG: bars with intervals, and a radar.

  The radar is of those of the six invariances of Purushwalkam & Gupta 2020 that
  were measured, of all others where these are too few, and left out for fewer
  than three. Of the numbers of units the smallest is drawn.
  """
  k = min(results.settings.top_k)
  groups = len(results.sets)
  around = _around(results)
  radar = len(around) >= _LEAST_OF_A_RADAR
  width = max(6.0, 1.2 + groups * max(0.8, 0.3 * len(results.models)))
  figure = figure_lib.Figure(
    figsize=(width + (4.6 if radar else 0.0), 4.6), layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  if radar:
    grid = figure.add_gridspec(1, 2, width_ratios=[width, 4.6])
    _bars(figure.add_subplot(grid[0]), results, k)
    axes = figure.add_subplot(grid[1], projection="polar")
    _radar(axes, results, around, k)
  else:
    _bars(figure.add_subplot(), results, k)
  _legend(figure, results)
  return _png(figure)


def _around(results: measurement.Results) -> list[measurement.SetsResult]:
  """What the radar shows."""
  known = invariance_sets.OF_THE_PAPER
  around = [one for one in results.sets if one.data.invariance in known]
  return around if len(around) >= _LEAST_OF_A_RADAR else list(results.sets)


def curves(results: measurement.Results) -> bytes | None:
  """Scores over the factor's range, one panel for each factor; None if none."""
  shown = [
    result
    for result in results.sets
    if any(found.curve for found in result.models.values())
  ]
  if not shown:
    return None
  k = min(results.settings.top_k)
  columns = min(3, len(shown))
  rows = math.ceil(len(shown) / columns)
  figure = figure_lib.Figure(
    figsize=(4.0 * columns + 0.5, 2.9 * rows + 0.4), layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  figure.get_layout_engine().set(h_pad=0.1)
  panels = figure.subplots(rows, columns, squeeze=False).ravel()
  for panel, result in zip(panels, shown, strict=False):
    _curve(panel, result, k)
  for panel in panels[len(shown) :]:
    panel.remove()
  for first in figure.axes[::columns]:
    first.set_ylabel(f"Top-{k} score, %", fontsize=9)
  _legend(figure, results)
  return _png(figure)


def _legend(figure: figure_lib.Figure, results: measurement.Results) -> None:
  handles = [
    patches_lib.Patch(color=colors.color(i), label=_plain(model.name))
    for i, model in enumerate(results.models)
  ]
  handles.append(
    lines_lib.Line2D([], [], color=_GRAY, linestyle=":", label="chance")
  )
  longest = 8 + max(len(handle.get_label()) for handle in handles)
  fit = int(_LETTERS * figure.get_figwidth() / longest)
  figure.legend(
    handles=handles,
    loc="outside lower center",
    ncols=max(1, min(len(handles), fit)),
    frameon=False,
  )


def _bars(axes, results: measurement.Results, k: int) -> None:
  count = len(results.models)
  width = 0.8 / count
  for g, result in enumerate(results.sets):
    for i, model in enumerate(results.models):
      found = result.models[model.name]
      x = g - 0.4 + (i + 0.5) * width
      value = found.score.scores[k]
      axes.bar(x, value, 0.92 * width, color=colors.color(i), zorder=2)
      if found.intervals is not None:
        low, high = found.intervals[k].low, found.intervals[k].high
        # The score may lie just outside, where few sets disagree.
        axes.errorbar(
          x,
          (low + high) / 2,
          yerr=(high - low) / 2,
          fmt="none",
          ecolor="black",
          elinewidth=1.2,
          capsize=min(4.0, 20 * width),
          zorder=3,
        )
      axes.hlines(
        found.chance.scores[k],
        x - width / 2,
        x + width / 2,
        colors=_GRAY,
        linestyles=":",
        linewidth=2,
        zorder=4,
        path_effects=[_HALO],  # seen on bars of any color
      )
  axes.set_xticks(range(len(results.sets)))
  axes.set_xticklabels(
    [_plain(_wrapped(result.title)) for result in results.sets],
    rotation=30 if len(results.sets) > 4 else 0,
    ha="right" if len(results.sets) > 4 else "center",
  )
  axes.set_xlim(-0.6, len(results.sets) - 0.4)
  axes.set_ylim(0, 105)
  axes.set_ylabel(f"Top-{k} invariance score, % of the largest")
  axes.grid(axis="y", color="#dddddd", zorder=0)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)
  axes.set_title(
    f"Top-{k} scores with {results.settings.confidence * 100:g} % intervals",
    fontsize=11,
  )


def _radar(
  axes,
  results: measurement.Results,
  shown: list[measurement.SetsResult],
  k: int,
) -> None:
  angles = np.linspace(0, 2 * np.pi, len(shown), endpoint=False)
  around = np.append(angles, angles[0])
  axes.set_theta_offset(np.pi / 2)
  axes.set_theta_direction(-1)
  for i, model in enumerate(results.models):
    values = [one.models[model.name].score.scores[k] for one in shown]
    values.append(values[0])
    axes.plot(around, values, color=colors.color(i), linewidth=2)
    axes.fill(around, values, color=colors.color(i), alpha=0.08)
  chance = [
    np.mean([found.chance.scores[k] for found in one.models.values()])
    for one in shown
  ]
  axes.plot(around, [*chance, chance[0]], color=_GRAY, linestyle=":")
  axes.set_ylim(0, 100)
  axes.set_yticks([25, 50, 75, 100])
  axes.set_yticklabels(["25", "50", "75", "100"], fontsize=8, color=_GRAY)
  axes.set_xticks(angles)
  labels = axes.set_xticklabels(
    [_plain(_wrapped(one.title)) for one in shown], fontsize=9
  )
  for label, angle in zip(labels, angles, strict=True):
    side = np.sin(angle)  # beside the circle, not across it
    label.set_horizontalalignment(
      "center" if abs(side) < 0.1 else "left" if side > 0 else "right"
    )
  axes.set_rlabel_position(15)  # between two spokes


def _curve(axes, result: measurement.SetsResult, k: int) -> None:
  for i, found in enumerate(result.models.values()):
    for points, style in (
      (found.curve, {"marker": "o", "linewidth": 2}),
      (found.chance_curve, {"linestyle": ":", "linewidth": 1.5}),
    ):
      measured = [
        (place, point.score.scores[k])
        for place, point in enumerate(points)
        if point.score is not None
      ]
      if measured:
        axes.plot(*zip(*measured, strict=True), color=colors.color(i), **style)
  points = next(iter(result.models.values())).curve
  axes.set_xticks(range(len(points)))
  axes.set_xticklabels([range_text(point.within) for point in points])
  unit = f" ({result.data.factor_unit})" if result.data.factor_unit else ""
  axes.set_xlabel(
    _plain(f"{result.data.factor_name or 'value'} within{unit}"), fontsize=9
  )
  axes.set_ylim(0, 105)
  axes.set_xlim(-0.3, len(points) - 0.7)
  axes.set_title(_plain(result.title), fontsize=11)
  axes.grid(color="#dddddd")
  axes.spines[["top", "right"]].set_visible(False)


def range_text(within: float) -> str:
  """A range of the factor in a few letters."""
  return "all" if math.isinf(within) else f"±{within:g}"


def _wrapped(title: str) -> str:
  """Long titles on two lines."""
  words = title.split(" ")
  if len(title) < 14 or len(words) == 1:
    return title
  middle = math.ceil(len(words) / 2)
  return "\n".join([" ".join(words[:middle]), " ".join(words[middle:])])


def _plain(text: str) -> str:
  """Text that Matplotlib does not take for mathematics."""
  return text.replace("$", r"\$")


def _png(figure: figure_lib.Figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()
