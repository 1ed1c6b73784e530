"""Draws predicted masks next to images and ground truth, with a legend."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import patches as patches_lib

from tf_ssl.reporting import charts

_DPI = 110
_INCHES = 2.6  # Width of one picture.
_COLUMNS = ("image", "ground truth", "predicted")
_VOID = (1.0, 1.0, 1.0)
_LETTERS = 18  # Longest class name in the legend.
_LEGEND_ROWS = 12


class Example(NamedTuple):
  """One test image.

  Attributes:
    image: [h, w, 3] uint8.
    truth: [H, W] int, class of each pixel; negative for void.
    predicted: [H, W] int, predicted class of each pixel.
  """

  image: np.ndarray
  truth: np.ndarray
  predicted: np.ndarray


def draw(
  examples: Sequence[Example], class_names: Sequence[str], *, title: str
) -> bytes:
  """Draws one row per example: image, ground truth, prediction.

  Void pixels are white in both masks, because they are not scored.

  Args:
    examples: test images, at least one.
    class_names: [C] names of the classes.
    title: title of the picture.

  Returns:
    PNG bytes; the legend has the classes that occur.
  """
  palette = charts.palette(len(class_names))
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
  with charts.figure(3 * _INCHES + 2.4, rows * _INCHES * shape + 0.8) as figure:
    figure.suptitle(title, fontsize=11)
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
        label=textwrap.shorten(class_names[i], _LETTERS, placeholder="…"),
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
      ncols=-(-len(handles) // (_LEGEND_ROWS * rows)),
    )
  return charts.png(figure, dpi=_DPI)


def _colored(
  mask: np.ndarray, void: np.ndarray, palette: np.ndarray
) -> np.ndarray:
  """[H, W] classes -> [H, W, 3] colors, 0..1."""
  picture = palette[np.maximum(mask, 0)]
  picture[void] = _VOID
  return picture
