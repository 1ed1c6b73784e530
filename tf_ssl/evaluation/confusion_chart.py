"""A confusion matrix as a picture, of ten classes or of a thousand."""

import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colors as colors_lib
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg

_DPI = 150
_NUMBERED = 20  # with more classes the cells have no numbers
_NAMED = 60  # with more classes their names are left out
_LONGEST = 18  # letters of a name that is shown
_LEAST, _MOST = 3.0, 14.0  # inches a side, without names
_OF_A_NUMBER, _OF_A_NAME = 0.42, 0.17  # inches that a cell needs
_CELLS = (
  250  # a side at most; with more classes a cell is the largest of several
)
_SIDE_OF_MANY = 8.0  # inches
# A cell of 2 % must be seen beside one of 90 %.
_GAMMA = 0.45
_TOP_OF_MANY = 25.0  # %; with many classes, where all mistakes are rare
_DARK = 0.6  # of the color scale, from which on numbers are white


def picture(counts: np.ndarray, class_names: Sequence[str]) -> bytes:
  """Draws which classes are taken for which.

  Cells are shares of a row's images. Up to 20 classes have them as numbers, up
  to 60 their names. Of more the axes show the classes' numbers, and of more
  than 250 a cell shows the largest share among several classes.

  Args:
    counts: [C, C], images of each true class (rows) by the class they are taken
      for (columns); a row without images stays white.
    class_names: C.

  Returns:
    PNG.
  """
  number = len(counts)
  totals = counts.sum(axis=1, keepdims=True)
  shares = 100 * counts / np.maximum(totals, 1)
  side = float(np.clip(_side(number), _LEAST, _MOST))
  figure = figure_lib.Figure(
    figsize=(side + 1.6, side + 0.6), layout="constrained"
  )
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  top = 100.0 if number <= _NAMED else _TOP_OF_MANY
  scale = colors_lib.PowerNorm(_GAMMA, vmin=0, vmax=top, clip=True)
  pooled = math.ceil(number / _CELLS)
  image = axes.imshow(
    _largest(shares, pooled),
    cmap="Blues",
    norm=scale,
    interpolation="nearest",
    extent=(-0.5, number - 0.5, number - 0.5, -0.5),
  )
  axes.set_xlabel("taken for")
  axes.set_ylabel("true class")
  if number <= _NAMED:
    names = [_short(name) for name in class_names]
    axes.set_xticks(range(number), names, rotation=90)
    axes.set_yticks(range(number), names)
    axes.tick_params(length=0, labelsize=9 if number <= _NUMBERED else 7)
  if number <= _NUMBERED:
    for (row, column), share in np.ndenumerate(shares):
      if counts[row, column]:
        axes.text(
          column,
          row,
          f"{share:.0f}" if share >= 1 else "<1",
          ha="center",
          va="center",
          fontsize=8,
          color="white" if scale(share) > _DARK else "black",
        )
  axes.spines[:].set_color("#cccccc")
  bar = figure.colorbar(
    image,
    ax=axes,
    shrink=0.8,
    ticks=[tick for tick in (0, 1, 5, 10, 25, 50, 100) if tick <= top],
    extend="neither" if number <= _NAMED else "max",
  )
  of = f", largest of {pooled}x{pooled} classes" if pooled > 1 else ""
  bar.set_label(f"% of the true class{of}")
  bar.outline.set_visible(False)
  bar.minorticks_off()
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI)
  return buffer.getvalue()


def _side(number: int) -> float:
  if number <= _NUMBERED:
    return number * _OF_A_NUMBER
  if number <= _NAMED:
    return number * _OF_A_NAME
  return _SIDE_OF_MANY


def _largest(shares: np.ndarray, pooled: int) -> np.ndarray:
  """The largest of each square of `pooled` x `pooled` cells."""
  missing = -len(shares) % pooled
  padded = np.pad(shares, [(0, missing)] * 2)
  cells = len(padded) // pooled
  return padded.reshape(cells, pooled, cells, pooled).max(axis=(1, 3))


def _short(name: str) -> str:
  name = name.replace("$", r"\$")  # which would begin a formula
  return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
