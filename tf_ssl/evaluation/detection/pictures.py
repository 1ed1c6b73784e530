"""Detections drawn beside the true boxes."""

import io
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import patches as patches_lib
from matplotlib.backends import backend_agg

from tf_ssl.evaluation import segmentation_pictures

_DPI = 110
_INCHES = 3.4  # width of one picture
_LETTERS = 16  # of a class name


class Example(NamedTuple):
  """One test image.

  Attributes:
    image: [h, w, 3] uint8.
    truth: [R, 4] pixels: xmin, ymin, xmax, ymax.
    truth_classes: [R] int.
    found: [P, 4] likewise.
    found_classes: [P] int.
    scores: [P].
  """

  image: np.ndarray
  truth: np.ndarray
  truth_classes: np.ndarray
  found: np.ndarray
  found_classes: np.ndarray
  scores: np.ndarray


def draw(
  examples: Sequence[Example], class_names: Sequence[str], *, title: str
) -> bytes:
  """Draws a row for each example: the true boxes, and those that were found.

  As many detections are drawn as there are true boxes, the surest ones: a
  threshold would suit one detector and not another.

  Args:
    examples: at least one.
    class_names: [C].
    title: stands above.

  Returns:
    A PNG.
  """
  palette = segmentation_pictures.colours(len(class_names))
  names = [
    textwrap.shorten(name.replace("$", r"\$"), _LETTERS, placeholder="…")
    for name in class_names
  ]
  shape = np.mean([e.image.shape[0] / e.image.shape[1] for e in examples])
  figure = figure_lib.Figure(
    figsize=(2 * _INCHES, len(examples) * _INCHES * shape + 0.8),
    layout="constrained",
  )
  backend_agg.FigureCanvasAgg(figure)
  figure.suptitle(title.replace("$", r"\$"), fontsize=11)
  axes = figure.subplots(len(examples), 2, squeeze=False)
  for row, example in zip(axes, examples, strict=True):
    for axis in row:
      axis.imshow(example.image)
      axis.set_xticks([])
      axis.set_yticks([])
    _boxes(
      row[0],
      example.truth,
      example.truth_classes,
      [names[i] for i in example.truth_classes],
      palette,
    )
    surest = np.argsort(-example.scores, kind="stable")[: len(example.truth)]
    classes = example.found_classes[surest]
    _boxes(
      row[1],
      example.found[surest],
      classes,
      [
        f"{names[i]} {score:.2f}"
        for i, score in zip(classes, example.scores[surest], strict=True)
      ],
      palette,
    )
  axes[0][0].set_title("truth", fontsize=10)
  axes[0][1].set_title("found, as many as there are", fontsize=10)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()


def _boxes(axis, boxes, class_ids, labels, palette) -> None:
  for (xmin, ymin, xmax, ymax), class_id, label in zip(
    boxes, class_ids, labels, strict=True
  ):
    colour = palette[class_id]
    axis.add_patch(
      patches_lib.Rectangle(
        (xmin, ymin),
        xmax - xmin,
        ymax - ymin,
        fill=False,
        edgecolor=colour,
        linewidth=1.5,
      )
    )
    axis.text(
      xmin,
      ymin,
      label,
      fontsize=5,
      color="white",
      verticalalignment="bottom",
      clip_on=True,
      bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6},
    )
