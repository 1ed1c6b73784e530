"""Charts of a diagnosis, as PNG. No display is needed."""

import io

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import ticker
from matplotlib.backends import backend_agg

from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.reporting import colors

# Quantity of `view_contents.MEANING` -> title of its panel.
_PANELS = {
  "same_foremost": "The same object foremost",
  "same_object": "An object in common",
  "same_class": "A class in common",
  "main_in_both": "The main object in both",
  "no_object": "No object in either",
  "main_hidden": "Main object cut off, where it shows",
}
_MOST_OBJECTS = 15
_MOST_CLASSES = 30  # in the matrix
_LEAST_SIDE = 4.5  # inches of the matrix: what its axes' titles need
_BINS = np.linspace(0, 1, 21)
_DPI = 150


def curves(diagnosis: diagnosis_lib.Diagnosis) -> bytes:
  """What crops share, over the recipe's smallest area."""
  figure = _figure(10.2, 6.0)
  panels = figure.subplots(2, 3, sharex=True).flat
  for panel, (quantity, title) in zip(panels, _PANELS.items(), strict=True):
    for number, (name, described) in enumerate(diagnosis.described.items()):
      areas = list(described.curve)
      value, low, high = np.transpose(
        [described.curve[area][quantity] for area in areas]
      )
      color = colors.color(number)
      panel.plot(areas, value, color=color, marker="o", ms=4, label=name)
      panel.fill_between(areas, low, high, color=color, alpha=0.2, lw=0)
    panel.axvline(diagnosis.settings.crop.area[0], color="#444444", ls=":")
    panel.set_title(title, fontsize=11)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(
      ticker.FixedLocator([0.02, 0.05, 0.2, 0.5, 1])
    )
    panel.xaxis.set_minor_locator(ticker.NullLocator())
    panel.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    panel.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    panel.set_ylim(
      0, None if quantity in ("no_object", "main_hidden") else 1.03
    )
    _plain(panel)
  figure.axes[4].set_xlabel(
    "smallest area of a view, share of the image (dotted: the recipe's)",
    fontsize=10,
  )
  _finish(figure, diagnosis)
  return _png(figure)


def distributions(diagnosis: diagnosis_lib.Diagnosis) -> bytes:
  """Of images, and of the recipe's views."""
  figure = _figure(10.2, 6.0)
  panels = list(figure.subplots(2, 3).flat)
  for number, (name, described) in enumerate(diagnosis.described.items()):
    color = colors.color(number)
    statistics, some = described.statistics, described.inhabited
    counts = np.minimum(statistics.objects[some], _MOST_OBJECTS)
    steps = np.arange(0.5, _MOST_OBJECTS + 1)
    drawn = [
      (np.histogram(counts, steps)[0], steps),
      (np.histogram(statistics.largest_area[some], _BINS)[0], _BINS),
      (np.histogram(statistics.centeredness[some], _BINS)[0], _BINS),
      (described.contents.overlap, None),
      (described.contents.cover, None),
    ]
    for panel, (heights, edges) in zip(panels, drawn, strict=False):
      if edges is None:
        edges = np.linspace(0, 1, len(heights) + 1)
      share = heights / max(heights.sum(), 1)
      panel.stairs(share, edges, color=color, lw=1.8, label=name)
      panel.stairs(share, edges, color=color, fill=True, alpha=0.12)
  titles = (
    "Objects in an image",
    "Area of the largest object",
    "Centeredness of the largest object",
    "Overlap (IoU) of two views",
    "Visible part of the main object",
  )
  for panel, title in zip(panels, titles, strict=False):
    panel.set_title(title, fontsize=11)
    panel.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    panel.set_ylim(0, None)
    _plain(panel)
  panels[0].set_xticks(
    [1, 5, 10, _MOST_OBJECTS], ["1", "5", "10", f"{_MOST_OBJECTS}+"]
  )
  panels[-1].remove()
  for panel in panels[1:2] + panels[4:5]:
    panel.xaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
  _finish(figure, diagnosis, axes=panels[0])
  return _png(figure)


def co_occurrence(diagnosis: diagnosis_lib.Diagnosis) -> bytes:
  """Which classes are seen together, of the most frequent ones."""
  together = diagnosis.own.co_occurrence
  order = np.argsort(-together.images_with, kind="stable")[:_MOST_CLASSES]
  order = order[together.images_with[order] > 0]
  share = (
    together.images[np.ix_(order, order)] / together.images_with[order, None]
  )
  names = [diagnosis.subject.objects.class_names[i][:24] for i in order]
  side = max(1.8 + 0.24 * len(order), _LEAST_SIDE)
  figure = _figure(side + 1.6, side + 0.6)
  panel = figure.subplots()
  image = panel.imshow(share, vmin=0, vmax=1, cmap="Blues")
  labels = [
    f"{name} ({together.images_with[i]})"
    for name, i in zip(names, order, strict=True)
  ]
  panel.set_yticks(range(len(order)), labels, fontsize=8, parse_math=False)
  panel.set_xticks(
    range(len(order)), names, fontsize=8, rotation=90, parse_math=False
  )
  panel.set_ylabel("an image shows this class (in so many images) ...")
  panel.set_xlabel("... and this one, too; diagonal: two of the class")
  bar = figure.colorbar(image, ax=panel, shrink=min(1.0, 3 / side))
  bar.ax.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
  _mark(figure, diagnosis)
  return _png(figure)


def _figure(width: float, height: float) -> figure_lib.Figure:
  figure = figure_lib.Figure(figsize=(width, height), layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  return figure


def _plain(panel) -> None:
  panel.grid(color="#dddddd")
  panel.set_axisbelow(True)
  panel.spines[["top", "right"]].set_visible(False)


def _finish(figure: figure_lib.Figure, diagnosis, axes=None) -> None:
  handles, labels = (axes or figure.axes[0]).get_legend_handles_labels()
  figure.legend(
    handles, labels, loc="outside lower center", ncols=3, frameon=False
  )
  _mark(figure, diagnosis)


def _mark(figure: figure_lib.Figure, diagnosis) -> None:
  if diagnosis.subject.estimated_by:
    figure.suptitle(
      "ESTIMATE: objects were guessed from the images", color="#B00000"
    )


def _png(figure: figure_lib.Figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()
