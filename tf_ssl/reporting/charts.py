"""Charts and pictures of reports: one style, no display needed."""

import base64
import colorsys
import contextlib
import io
from collections.abc import Iterator, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg

# Okabe & Ito 2008 without yellow and black: distinct for most color-blind
# readers, too.
COLORS = (
  "#0072B2",
  "#E69F00",
  "#009E73",
  "#CC79A7",
  "#56B4E9",
  "#D55E00",
)
GRAY = "#444444"  # Of chance levels and other references.
_LETTERS_PER_INCH = 11  # Of a legend; wide letters need more room.
_HUE_STEP = 0.61803398875  # Of the circle of hues: the golden ratio.
_SHADES = ((0.75, 0.85), (0.45, 0.95), (0.85, 0.55))  # Saturation, brightness.
_STYLE = {"text.parse_math": False}  # A "$" in a name is a dollar sign.


def color(number: int) -> str:
  """Color of the series with this number, from 0."""
  return COLORS[number % len(COLORS)]


def palette(count: int) -> np.ndarray:
  """[count, 3] float64, different colors of many classes, RGB 0..1."""
  return np.array(
    [
      colorsys.hsv_to_rgb((i * _HUE_STEP) % 1.0, *_SHADES[i % len(_SHADES)])
      for i in range(count)
    ]
  )


@contextlib.contextmanager
def figure(width: float, height: float) -> Iterator[figure_lib.Figure]:
  """Yields a new figure to draw on; in the body, all text is taken literally.

  Args:
    width: width in inches.
    height: height in inches.
  """
  with mpl.rc_context(_STYLE):
    made = figure_lib.Figure(figsize=(width, height), layout="constrained")
    backend_agg.FigureCanvasAgg(made)
    yield made


def png(drawn: figure_lib.Figure, *, dpi: int = 150) -> bytes:
  """The figure as a PNG file that does not depend on Matplotlib's version."""
  buffer = io.BytesIO()
  with mpl.rc_context(_STYLE):
    drawn.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
  return buffer.getvalue()


def clean(axes, *, grid: str = "both") -> None:
  """Gives axes a light grid behind the data and no top and right border.

  Args:
    axes: Matplotlib axes.
    grid: "x", "y" or "both".
  """
  axes.grid(axis=grid, color="#dddddd", zorder=0)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)


def legend_columns(drawn: figure_lib.Figure, labels: Sequence[str]) -> int:
  """Number of columns in which a legend of these labels fits the figure."""
  longest = 6 + max(map(len, labels))
  fit = int(_LETTERS_PER_INCH * drawn.get_figwidth() / longest)
  return max(1, min(len(labels), fit))


def side_by_side(images: Sequence[np.ndarray], *, gap: int = 3) -> np.ndarray:
  """Joins images of one height with white gaps.

  Args:
    images: [H, W_i, 3] uint8 each, at least one.
    gap: width of a gap in pixels.

  Returns:
    [H, sum of W_i and gaps, 3] uint8.
  """
  white = np.full([images[0].shape[0], gap, 3], 255, np.uint8)
  parts = [part for image in images for part in (image, white)]
  return np.concatenate(parts[:-1], axis=1)


def data_uri(data: bytes, media_type: str = "image/png") -> str:
  """An image file as an address that a page can hold."""
  return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
