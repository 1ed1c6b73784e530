"""Charts of a measurement: bars, radar and curves."""

import math
from collections.abc import Callable

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import lines as lines_lib
from matplotlib import patches as patches_lib
from matplotlib import patheffects

from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import measurement
from tf_ssl.reporting import charts

_HALO = patheffects.withStroke(linewidth=4, foreground="white")
_RADAR_INCHES = 4.6
_MIN_CORNERS = 3  # Of a radar.


def overview(results: measurement.Results) -> figure_lib.Figure:
  """Scores of all models at the smallest K: bars with intervals, and a radar.

  The radar shows those of the six invariances of Purushwalkam & Gupta 2020 that
  were measured, all measured ones if these are fewer than three, and is omitted
  if there are fewer than three in all.
  """
  k = min(results.settings.top_k)
  corners = _corners(results)
  radar = len(corners) >= _MIN_CORNERS
  width = 1.2 + len(results.sets) * max(0.8, 0.3 * len(results.models))
  width = max(6.0, width)
  ratios = [width, _RADAR_INCHES] if radar else [width]
  with charts.figure(sum(ratios), 4.6) as figure:
    grid = figure.add_gridspec(1, len(ratios), width_ratios=ratios)
    _bars(figure.add_subplot(grid[0]), results, k)
    if radar:
      axes = figure.add_subplot(grid[1], projection="polar")
      _radar(axes, results, corners, k)
    _legend(figure, results)
  return figure


def curves(results: measurement.Results) -> figure_lib.Figure | None:
  """Scores over ranges of the factor, a panel per factor; None without one."""
  shown = [
    result
    for result in results.sets
    if any(found.curve for found in result.models.values())
  ]
  if not shown:
    return None
  return _panels(results, shown, _curve)


def _panels(
  results: measurement.Results,
  shown: list[measurement.SetsResult],
  draw: Callable,
) -> figure_lib.Figure:
  """A panel per list of sets, drawn by `draw` from axes, result and K."""
  k = min(results.settings.top_k)
  columns = min(3, len(shown))
  rows = math.ceil(len(shown) / columns)
  with charts.figure(4.0 * columns + 0.5, 2.9 * rows + 0.4) as figure:
    figure.get_layout_engine().set(h_pad=0.1)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, result in zip(panels, shown, strict=False):
      draw(panel, result, k)
    for panel in panels[len(shown) :]:
      panel.remove()
    for first in figure.axes[::columns]:
      first.set_ylabel(f"Top-{k} score, %", fontsize=9)
    _legend(figure, results)
  return figure


def strengths(results: measurement.Results) -> figure_lib.Figure | None:
  """Scores by strength, a panel per alteration; None without alterations."""
  shown = [
    result
    for result in results.sets
    if any(found.strengths for found in result.models.values())
  ]
  if not shown:
    return None
  return _panels(results, shown, _strength)


def depth(results: measurement.Results) -> figure_lib.Figure | None:
  """Scores by depth, a panel per invariance; None without several layers.

  Solid lines are the cross-fitted score, which does not gain from the larger
  number of units of deep layers; dotted ones its chance level.
  """
  layered = {}
  for model in results.models:
    if model.layer_of:
      layered.setdefault(model.layer_of, []).append(model.name)
  if not layered:
    return None

  def draw(panel, result: measurement.SetsResult, k: int) -> None:
    _depth(panel, result, k, layered)

  first = {name: names[0] for name, names in layered.items()}
  described = {model.name: model for model in results.models}
  shown = results._replace(
    models=[described[one]._replace(name=name) for name, one in first.items()]
  )
  return _panels(shown, list(results.sets), draw)


def range_text(within: float) -> str:
  """A range of the factor, such as "±30"."""
  return "all" if math.isinf(within) else f"±{within:g}"


def _corners(results: measurement.Results) -> list[measurement.SetsResult]:
  """The invariances of the radar."""
  known = invariance_sets.OF_THE_PAPER
  found = [one for one in results.sets if one.data.invariance in known]
  return found if len(found) >= _MIN_CORNERS else list(results.sets)


def _legend(figure: figure_lib.Figure, results: measurement.Results) -> None:
  handles = [
    patches_lib.Patch(color=charts.color(i), label=model.name)
    for i, model in enumerate(results.models)
  ]
  handles.append(
    lines_lib.Line2D([], [], color=charts.GRAY, linestyle=":", label="chance")
  )
  labels = [handle.get_label() for handle in handles]
  figure.legend(
    handles=handles,
    loc="outside lower center",
    ncols=charts.legend_columns(figure, labels),
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
      axes.bar(x, value, 0.92 * width, color=charts.color(i), zorder=2)
      if found.intervals is not None:
        low, high = found.intervals[k].low, found.intervals[k].high
        # With few sets, the score may lie just outside its interval.
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
        colors=charts.GRAY,
        linestyles=":",
        linewidth=2,
        zorder=4,
        path_effects=[_HALO],  # Visible on bars of any color.
      )
  many = len(results.sets) > 4
  axes.set_xticks(
    range(len(results.sets)),
    [_wrapped(result.title) for result in results.sets],
    rotation=30 if many else 0,
    ha="right" if many else "center",
  )
  axes.set_xlim(-0.6, len(results.sets) - 0.4)
  axes.set_ylim(0, 105)
  axes.set_ylabel(f"Top-{k} invariance score, % of the largest")
  charts.clean(axes, grid="y")
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
    axes.plot(around, values, color=charts.color(i), linewidth=2)
    axes.fill(around, values, color=charts.color(i), alpha=0.08)
  chance = [
    np.mean([found.chance.scores[k] for found in one.models.values()])
    for one in shown
  ]
  axes.plot(around, [*chance, chance[0]], color=charts.GRAY, linestyle=":")
  axes.set_ylim(0, 100)
  axes.set_yticks([25, 50, 75, 100])
  axes.set_yticklabels(["25", "50", "75", "100"], fontsize=8, color=charts.GRAY)
  axes.set_xticks(angles)
  labels = axes.set_xticklabels(
    [_wrapped(one.title) for one in shown], fontsize=9
  )
  for label, angle in zip(labels, angles, strict=True):
    side = np.sin(angle)  # Labels stay outside the circle.
    label.set_horizontalalignment(
      "center" if abs(side) < 0.1 else "left" if side > 0 else "right"
    )
  axes.set_rlabel_position(15)  # Between two spokes.


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
        axes.plot(*zip(*measured, strict=True), color=charts.color(i), **style)
  points = next(iter(result.models.values())).curve
  axes.set_xticks(
    range(len(points)), [range_text(point.within) for point in points]
  )
  unit = f" ({result.data.factor_unit})" if result.data.factor_unit else ""
  axes.set_xlabel(
    f"{result.data.factor_name or 'value'} within{unit}", fontsize=9
  )
  axes.set_ylim(0, 105)
  axes.set_xlim(-0.3, len(points) - 0.7)
  axes.set_title(result.title, fontsize=11)
  charts.clean(axes)


def _strength(axes, result: measurement.SetsResult, k: int) -> None:
  count = len(result.models)
  for i, found in enumerate(result.models.values()):
    points = found.strengths
    # Side by side, so that the intervals of the models do not cover another.
    places = np.arange(len(points)) + 0.12 * (i - (count - 1) / 2)
    ends = [(p.intervals[k].low, p.intervals[k].high) for p in points]
    low, high = np.array(ends).T
    middle = (low + high) / 2
    color = charts.color(i)
    axes.errorbar(
      places, middle, yerr=high - middle, fmt="none", ecolor=color, capsize=3
    )
    scores = [point.scores[k] for point in points]
    axes.plot(places, scores, color=color, marker="o", linewidth=2)
    chance = [point.chance[k] for point in points]
    axes.plot(
      places, chance, color=color, linestyle=":", marker="_", linewidth=1.5
    )
  points = next(iter(result.models.values())).strengths
  axes.set_xticks(
    range(len(points)), [f"{point.strength:g}" for point in points]
  )
  unit = f" ({result.data.factor_unit})" if result.data.factor_unit else ""
  axes.set_xlabel(f"{result.data.factor_name}{unit}", fontsize=9)
  axes.set_ylim(40, 103)
  axes.set_xlim(-0.5, len(points) - 0.5)
  axes.set_title(result.title, fontsize=11)
  charts.clean(axes)


def _depth(
  axes, result: measurement.SetsResult, k: int, layered: dict[str, list[str]]
) -> None:
  for i, (name, layers) in enumerate(layered.items()):
    values = np.array(
      [_comparable(result.models[layer], k) for layer in layers]
    )
    places = np.arange(len(layers))
    if len(layers) > 1:
      places = places / (len(layers) - 1)  # Shares of the depth.
    color = charts.color(i)
    axes.plot(places, values[:, 0], color=color, marker="o", linewidth=2)
    axes.plot(places, values[:, 1], color=color, linestyle=":", linewidth=1.5)
    if len(layered) == 1:
      labels = [layer.removeprefix(f"{name} ") for layer in layers]
      axes.set_xticks(places, labels, rotation=60 if len(labels) > 5 else 0)
      axes.tick_params(axis="x", labelsize=7 if len(labels) > 5 else 9)
  if len(layered) > 1:
    axes.set_xlabel("share of the depth", fontsize=9)
  axes.set_ylim(0, 105)
  axes.set_title(result.title, fontsize=11)
  charts.clean(axes)


def _comparable(found: measurement.ModelScore, k: int) -> tuple[float, float]:
  """Cross-fitted score and its chance level; the score's where undefined."""
  if found.cross_fitted is None:
    return found.score.scores[k], found.chance.scores[k]
  return found.cross_fitted.scores[k], found.cross_fitted.chance[k]


def _wrapped(title: str) -> str:
  """A long title on two lines."""
  words = title.split(" ")
  if len(title) < 14 or len(words) == 1:
    return title
  middle = math.ceil(len(words) / 2)
  return " ".join(words[:middle]) + "\n" + " ".join(words[middle:])
