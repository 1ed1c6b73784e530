"""Report parts of the protocols that predict classes.

Top-1 and top-5 accuracy, accuracy by class and the confusion matrix, over one
or several repetitions.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib import figure as figure_lib
from scipy import stats
from sklearn import metrics

from tf_ssl.evaluation import predictions, protocol, sanity, seeds
from tf_ssl.reporting import charts, statistics

PICTURE_FILE = "confusion.png"
_TOP = 5
_MISTAKES = 10  # Pairs of classes that the page lists.
_FULL_MATRIX = 100  # Classes up to which report.json has all counts.
_NUMBERED = 20  # Classes up to which the chart's cells have numbers.
_NAMED = 60  # Classes up to which the chart has class names.
_LONGEST = 18  # Letters of a class name in the chart.
_CELLS = 250  # Cells per side of the chart; more classes share cells.
_GAMMA = 0.45  # Of the color scale: 2 % remains visible next to 90 %.
_TOP_OF_MANY = 25.0  # Upper end of the color scale for many classes, %.
_DARK = 0.6  # Of the color scale, above which numbers are white.


def measures(
  found: predictions.Predictions, labels: np.ndarray, num_classes: int
) -> dict[str, float]:
  """Top-1, top-5 and mean per-class accuracy of one repetition, in percent.

  Top-5 is omitted for up to five classes.

  Args:
    found: predictions for M test images.
    labels: [M] int, true classes, 0..C-1.
    num_classes: number of classes C.
  """
  values = {"top1_percent": 100 * found.accuracy()}
  if num_classes > _TOP:
    values[f"top{_TOP}_percent"] = 100 * found.accuracy(_TOP)
  by_class = _by_class(_confusion(found, labels, num_classes))
  values["mean_per_class_percent"] = float(np.nanmean(by_class))
  return values


def outcome(
  found: Sequence[predictions.Predictions],
  labels: np.ndarray,
  class_names: Sequence[str],
  *,
  names: Sequence[str] = ("",),
  own: protocol.Outcome,
) -> protocol.Outcome:
  """Adds the classification results of one or several repetitions.

  The results are the means over repetitions of `measures`.

  Args:
    found: predictions of each repetition for the M test images.
    labels: [M] int, true classes, 0..C-1.
    class_names: [C] names of the classes.
    names: names of the repetitions, such as "seed 0".
    own: the parts of the outcome that are specific to a protocol. Its results
      and details follow the added ones, its tables precede them.
  """
  number = len(class_names)
  repeated = seeds.Repetitions(
    names, [measures(each, labels, number) for each in found]
  )
  counts = sum(_confusion(each, labels, number) for each in found)
  by_class = _by_class(counts)
  over = repeated.intervals()
  interval = _sampling_interval(over["top1_percent"].mean, len(labels))
  details = {
    "test_images": len(labels),
    "per_class_percent": dict(zip(class_names, by_class, strict=True)),
    "sampling_interval": {"top1_percent": interval},
  }
  if number <= _FULL_MATRIX:
    details["confusion"] = counts
  notes = [
    f"95 % interval of top-1 for {len(labels)} test images: "
    f"{interval['low']:.1f} to {interval['high']:.1f} % (Wilson); the "
    "difference of two models on the same test images is more precise"
  ]
  if len(found) > 1:
    details["repetitions"] = dict(zip(names, repeated.values, strict=True))
    details |= repeated.details()
    notes.append(
      f"mean of {len(found)} seeds; 95 % interval of mean top-1 over seeds: "
      f"{over['top1_percent'].low:.2f} to {over['top1_percent'].high:.2f} % "
      "(Student)"
    )
  unseen = [class_names[i] for i in np.flatnonzero(np.isnan(by_class))]
  if unseen:
    notes.append(
      f"no test image of {len(unseen)} classes could be read: "
      f"{', '.join(unseen[:5])}"
    )
  notes += sanity.warned(
    own.protocol, sanity.of_predictions(counts, class_names)
  )
  return own._replace(
    results=repeated.results() | own.results,
    details=details | own.details,
    tables=[
      *own.tables,
      _hardest(by_class, counts, class_names, len(found)),
      _mistakes(counts, class_names),
    ],
    pictures={PICTURE_FILE: charts.png(confusion_chart(counts, class_names))},
    notes=[*notes, *own.notes],
  )


def confusion_chart(
  counts: np.ndarray, class_names: Sequence[str]
) -> figure_lib.Figure:
  """Draws a confusion matrix, in percent of each true class.

  Up to 20 classes the cells have numbers, up to 60 the axes have class names,
  otherwise class ids. Above 250 classes a cell shows the largest percentage
  among several classes.

  Args:
    counts: [C, C], images by true class (rows) and predicted class (columns);
      rows without images stay white.
    class_names: [C] names of the classes.
  """
  number = len(counts)
  percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  side = _side(number)
  top = 100.0 if number <= _NAMED else _TOP_OF_MANY
  scale = colors.PowerNorm(_GAMMA, vmin=0, vmax=top, clip=True)
  pooled = math.ceil(number / _CELLS)
  with charts.figure(side + 1.6, side + 0.6) as figure:
    axes = figure.add_subplot()
    image = axes.imshow(
      _largest(percent, pooled),
      cmap="Blues",
      norm=scale,
      interpolation="nearest",
      extent=(-0.5, number - 0.5, number - 0.5, -0.5),
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if number <= _NAMED:
      names = [
        name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        for name in class_names
      ]
      axes.set_xticks(range(number), names, rotation=90)
      axes.set_yticks(range(number), names)
      axes.tick_params(length=0, labelsize=9 if number <= _NUMBERED else 7)
    if number <= _NUMBERED:
      for row, column in np.argwhere(counts):
        value = percent[row, column]
        axes.text(
          column,
          row,
          f"{value:.0f}" if value >= 1 else "<1",
          ha="center",
          va="center",
          fontsize=8,
          color="white" if scale(value) > _DARK else "black",
        )
    axes.spines[:].set_color("#cccccc")
    bar = figure.colorbar(
      image,
      ax=axes,
      shrink=0.8,
      ticks=[tick for tick in (0, 1, 5, 10, 25, 50, 100) if tick <= top],
      extend="neither" if number <= _NAMED else "max",
    )
    of = f", maximum of {pooled}x{pooled} classes" if pooled > 1 else ""
    bar.set_label(f"% of the true class{of}")
    bar.outline.set_visible(False)
    bar.minorticks_off()
  return figure


def _confusion(
  found: predictions.Predictions, labels: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts [C, C] int64 by true class (rows) and predicted class (columns)."""
  return metrics.confusion_matrix(
    labels, found.best, labels=np.arange(num_classes)
  )


def _by_class(counts: np.ndarray) -> np.ndarray:
  """[C] accuracies in percent; NaN for a class without test images."""
  totals = counts.sum(axis=1)
  right = 100.0 * np.diagonal(counts)
  return np.divide(
    right, totals, out=np.full(len(counts), np.nan), where=totals > 0
  )


def _sampling_interval(percent: float, number: int) -> dict[str, float]:
  """Wilson's interval of a percentage of `number` images."""
  found = stats.binomtest(round(percent / 100 * number), number).proportion_ci(
    statistics.CONFIDENCE, method="wilson"
  )
  return {"low": 100 * found.low, "high": 100 * found.high}


def _hardest(by_class, counts, class_names, repeated) -> protocol.Table:
  order = np.argsort(by_class, kind="stable")
  totals = counts.sum(axis=1) // repeated
  return protocol.Table(
    "Classes, lowest accuracy first",
    ["class", "top-1, %", "test images"],
    [[class_names[i], by_class[i], int(totals[i])] for i in order],
  )


def _mistakes(counts, class_names) -> protocol.Table:
  percent = 100.0 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  np.fill_diagonal(percent, 0.0)
  order = np.argsort(-percent, axis=None, kind="stable")[:_MISTAKES]
  rows = [
    [class_names[i], class_names[j], percent[i, j]]
    for i, j in zip(*np.unravel_index(order, percent.shape), strict=True)
    if percent[i, j]
  ]
  return protocol.Table(
    "Most frequent mistakes",
    ["true class", "predicted class", "% of the true class"],
    rows,
  )


def _side(number: int) -> float:
  """Side of the chart for this number of classes, inches."""
  if number <= _NUMBERED:
    side = number * 0.42  # Room for a number in each cell.
  elif number <= _NAMED:
    side = number * 0.17  # Room for a name at each row.
  else:
    side = 8.0
  return float(np.clip(side, 3.0, 14.0))


def _largest(percent: np.ndarray, pooled: int) -> np.ndarray:
  """The largest of each square of `pooled` x `pooled` cells."""
  missing = -len(percent) % pooled
  padded = np.pad(percent, [(0, missing)] * 2)
  cells = len(padded) // pooled
  return padded.reshape(cells, pooled, cells, pooled).max(axis=(1, 3))
