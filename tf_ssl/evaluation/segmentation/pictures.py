"""Predicted masks drawn beside images and the truth, with a legend."""

import colorsys
import io
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import patches as patches_lib
from matplotlib.backends import backend_agg

_DPI = 110
_INCHES = 2.6  # width of one picture
_COLUMNS = ("image", "truth", "predicted")
_VOID = (1.0, 1.0, 1.0)
_GOLDEN = 0.61803398875  # of the circle of hues from one class to the next
_SHADES = ((0.75, 0.85), (0.45, 0.95), (0.85, 0.55))  # saturation, brightness
_LETTERS = 18  # of a class name in the legend
_ROWS_OF_LEGEND = 12


class Example(NamedTuple):
  """One test image.

  Attributes:
    image: [h, w, 3] uint8.
    truth: [H, W] int; negative for void.
    predicted: [H, W] int.
  """

  image: np.ndarray
  truth: np.ndarray
  predicted: np.ndarray


def colors(num_classes: int) -> np.ndarray:
  """[C, 3] colors in 0..1 that differ from class to class, always the same."""
  return np.array(
    [
      colorsys.hsv_to_rgb((i * _GOLDEN) % 1.0, *_SHADES[i % len(_SHADES)])
      for i in range(num_classes)
    ]
  )


def draw(
  examples: Sequence[Example], class_names: Sequence[str], *, title: str
) -> bytes:
  """Draws a row for each example: image, truth, prediction.

  Void pixels are white, in the prediction too, because they count for nothing.

  Args:
    examples: at least one.
    class_names: [C].
    title: stands above.

  Returns:
    A PNG; its legend has the classes that occur.
  """
  palette = colors(len(class_names))
  rows = len(examples)
  shape = np.mean([e.truth.shape[0] / e.truth.shape[1] for e in examples])
  occurring = sorted(
    {
      int(number)
      for example in examples
      for mask in (example.truth, example.predicted[example.truth >= 0])
      for number in np.unique(mask)
      if number >= 0
    }
  )
  figure = figure_lib.Figure(
    figsize=(3 * _INCHES + 2.4, rows * _INCHES * shape + 0.8),
    layout="constrained",
  )
  backend_agg.FigureCanvasAgg(figure)
  figure.suptitle(title.replace("$", r"\$"), fontsize=11)
  axes = figure.subplots(rows, 3, squeeze=False)
  for row, example in zip(axes, examples, strict=True):
    void = example.truth < 0
    shown = (
      example.image,
      _colored(example.truth, void, palette),
      _colored(example.predicted, void, palette),
    )
    for axis, picture in zip(row, shown, strict=True):
      axis.imshow(picture, aspect="auto", interpolation="nearest")
      axis.set_xticks([])
      axis.set_yticks([])
      axis.set_box_aspect(example.truth.shape[0] / example.truth.shape[1])
  for axis, name in zip(axes[0], _COLUMNS, strict=True):
    axis.set_title(name, fontsize=10)
  handles = [
    patches_lib.Patch(
      color=palette[i],
      label=textwrap.shorten(
        class_names[i].replace("$", r"\$"), _LETTERS, placeholder="…"
      ),
    )
    for i in occurring
  ]
  handles.append(
    patches_lib.Patch(facecolor=_VOID, edgecolor="#888888", label="void")
  )
  figure.legend(
    handles=handles,
    loc="outside right center",
    fontsize=8,
    frameon=False,
    ncols=-(-len(handles) // (_ROWS_OF_LEGEND * rows)),
  )
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()


def _colored(
  mask: np.ndarray, void: np.ndarray, palette: np.ndarray
) -> np.ndarray:
  """[H, W] classes -> [H, W, 3] colors."""
  picture = palette[np.maximum(mask, 0)]
  picture[void] = _VOID
  return picture
