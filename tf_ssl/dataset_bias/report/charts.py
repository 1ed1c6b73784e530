"""Charts of a diagnosis, as Matplotlib figures."""

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import ticker

from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.reporting import charts

# {quantity of `crop_statistics.QUANTITIES`: title of its panel}.
_PANELS = {
  "same_foremost": "Same foremost object",
  "same_object": "An object in common",
  "same_class": "A class in common",
  "main_in_both": "Main object in both",
  "no_object": "No object in either",
  "main_hidden": "Hidden part of the main object",
}
_MAX_OBJECTS = 15  # Images with more objects share the last bin.
_MAX_CLASSES = 30  # Of the matrix.
_MIN_SIDE = 4.5  # Inches that the axis titles of the matrix need.
_BINS = np.linspace(0, 1, 21)
_PERCENT = ticker.PercentFormatter(1, decimals=0)


def curves(diagnosis: diagnosis_lib.Diagnosis) -> figure_lib.Figure:
  """Draws what two crops share, over the smallest area of a crop."""
  with charts.figure(10.2, 6.0) as figure:
    panels = figure.subplots(2, 3, sharex=True).flat
    for panel, (quantity, title) in zip(panels, _PANELS.items(), strict=True):
      for number, (name, described) in enumerate(diagnosis.described.items()):
        areas = list(described.curve)
        value, low, high = np.transpose(
          [described.curve[area][quantity] for area in areas]
        )
        color = charts.color(number)
        panel.plot(areas, value, color=color, marker="o", ms=4, label=name)
        panel.fill_between(areas, low, high, color=color, alpha=0.2, lw=0)
      panel.axvline(diagnosis.settings.crop.area[0], color=charts.GRAY, ls=":")
      panel.set_title(title, fontsize=11)
      panel.set_xscale("log")
      panel.xaxis.set_major_locator(
        ticker.FixedLocator([0.02, 0.05, 0.2, 0.5, 1])
      )
      panel.xaxis.set_minor_locator(ticker.NullLocator())
      panel.xaxis.set_major_formatter(_PERCENT)
      panel.yaxis.set_major_formatter(_PERCENT)
      panel.set_ylim(
        0, None if quantity in ("no_object", "main_hidden") else 1.03
      )
      charts.clean(panel)
    figure.axes[4].set_xlabel(
      "smallest area of a view, share of the image (dotted: the recipe's)",
      fontsize=10,
    )
    _finish(figure, diagnosis)
  return figure


def distributions(diagnosis: diagnosis_lib.Diagnosis) -> figure_lib.Figure:
  """Draws histograms over images and over the recipe's views."""
  titles = (
    "Objects per image",
    "Area of the largest object",
    "Centeredness of the largest object",
    "Overlap (IoU) of two views",
    "Visible part of the main object",
  )
  with charts.figure(10.2, 6.0) as figure:
    *panels, unused = figure.subplots(2, 3).flat
    unused.remove()
    for number, (name, described) in enumerate(diagnosis.described.items()):
      color = charts.color(number)
      statistics, some = described.statistics, described.inhabited
      counts = np.minimum(statistics.objects[some], _MAX_OBJECTS)
      steps = np.arange(0.5, _MAX_OBJECTS + 1)
      histograms = [
        np.histogram(counts, steps),
        np.histogram(statistics.largest_area[some], _BINS),
        np.histogram(statistics.centeredness[some], _BINS),
        *(
          (heights, np.linspace(0, 1, len(heights) + 1))
          for heights in (described.contents.overlap, described.contents.cover)
        ),
      ]
      for panel, (heights, edges) in zip(panels, histograms, strict=True):
        share = heights / max(heights.sum(), 1)
        panel.stairs(share, edges, color=color, lw=1.8, label=name)
        panel.stairs(share, edges, color=color, fill=True, alpha=0.12)
    for panel, title in zip(panels, titles, strict=True):
      panel.set_title(title, fontsize=11)
      panel.yaxis.set_major_formatter(_PERCENT)
      panel.set_ylim(0, None)
      charts.clean(panel)
    panels[0].set_xticks(
      [1, 5, 10, _MAX_OBJECTS], ["1", "5", "10", f"{_MAX_OBJECTS}+"]
    )
    for panel in (panels[1], panels[4]):
      panel.xaxis.set_major_formatter(_PERCENT)
    _finish(figure, diagnosis)
  return figure


def co_occurrence(diagnosis: diagnosis_lib.Diagnosis) -> figure_lib.Figure:
  """Draws how often the most frequent classes share an image."""
  together = diagnosis.own.co_occurrence
  order = np.argsort(-together.images_with, kind="stable")[:_MAX_CLASSES]
  order = order[together.images_with[order] > 0]
  share = (
    together.images[np.ix_(order, order)] / together.images_with[order, None]
  )
  names = [diagnosis.dataset.objects.class_names[i][:24] for i in order]
  labels = [
    f"{name} ({together.images_with[i]})"
    for name, i in zip(names, order, strict=True)
  ]
  side = max(1.8 + 0.24 * len(order), _MIN_SIDE)
  with charts.figure(side + 1.6, side + 0.6) as figure:
    panel = figure.subplots()
    image = panel.imshow(share, vmin=0, vmax=1, cmap="Blues")
    panel.set_yticks(range(len(order)), labels, fontsize=8)
    panel.set_xticks(range(len(order)), names, fontsize=8, rotation=90)
    panel.set_ylabel("images that show this class (their number) ...")
    panel.set_xlabel("... and this one, too; diagonal: two of the class")
    bar = figure.colorbar(image, ax=panel, shrink=min(1.0, 3 / side))
    bar.ax.yaxis.set_major_formatter(_PERCENT)
    _mark(figure, diagnosis)
  return figure


def _finish(figure: figure_lib.Figure, diagnosis) -> None:
  handles, labels = figure.axes[0].get_legend_handles_labels()
  figure.legend(
    handles, labels, loc="outside lower center", ncols=3, frameon=False
  )
  _mark(figure, diagnosis)


def _mark(figure: figure_lib.Figure, diagnosis) -> None:
  if diagnosis.dataset.estimated_by:
    figure.suptitle(
      "ESTIMATE: the objects are estimated from the images", color="#B00000"
    )
