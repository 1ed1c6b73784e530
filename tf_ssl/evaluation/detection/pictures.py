"""Detections drawn beside the true boxes."""

import io
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import patches as patches_lib
from matplotlib.backends import backend_agg
from pycocotools import mask as mask_lib

from tf_ssl.evaluation.segmentation import pictures

_DPI = 110
_INCHES = 4.0  # width of one picture
_LETTERS = 16  # of a class name
_MOST = 8  # detections of a picture: more hide what they are about
_OVERLAP = 0.5  # IoU from which a detection counts as right, COCO's AP50


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


class _Box(NamedTuple):
  """What is drawn of a box: xmin, ymin, xmax, ymax in `place`."""

  place: np.ndarray
  class_id: int
  label: str
  is_dashed: bool = False


def draw(
  examples: Sequence[Example], class_names: Sequence[str], *, title: str
) -> bytes:
  """Draws a row for each example: the true boxes, and those that were found.

  As many detections are drawn as there are true boxes, but 8 at most, the
  surest ones: a threshold would suit one detector and not another. Those are
  dashed that hit no true box of their class, each of which is hit once. Where
  labels would lie on each other, that of the surer detection or of the larger
  true box stays.

  Args:
    examples: at least one.
    class_names: [C]; a single one is not written on each box.
    title: stands above.

  Returns:
    A PNG.
  """
  palette = pictures.colors(len(class_names))
  names = [
    textwrap.shorten(name.replace("$", r"\$"), _LETTERS, placeholder="…")
    for name in class_names
  ]
  if len(names) == 1:
    names = [""]
  heights = [min(e.image.shape[0] / e.image.shape[1], 1.0) for e in examples]
  figure = figure_lib.Figure(
    figsize=(2 * _INCHES, sum(heights) * _INCHES + 1.0),
    layout="constrained",
  )
  backend_agg.FigureCanvasAgg(figure)
  figure.suptitle(title.replace("$", r"\$"), fontsize=11)
  axes = figure.subplots(len(examples), 2, squeeze=False, height_ratios=heights)
  axes[0][0].set_title("truth", fontsize=9)
  axes[0][1].set_title(
    f"the surest {_MOST}, or as many as there are\n"
    f"dashed: no true box with an IoU of {_OVERLAP:g}",
    fontsize=9,
  )
  drawn = []
  for row, example in zip(axes, examples, strict=True):
    for axis, boxes in zip(
      row, (_true(example, names), _found(example, names)), strict=True
    ):
      axis.imshow(example.image)
      axis.set_xticks([])
      axis.set_yticks([])
      _outline(axis, boxes, palette)
      drawn.append((axis, boxes))
  figure.draw_without_rendering()  # from here on it is known where axes are
  for axis, boxes in drawn:
    _label(axis, boxes, palette)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()


def _true(example: Example, names: Sequence[str]) -> list[_Box]:
  """The true boxes, the largest first."""
  sides = example.truth[:, 2:] - example.truth[:, :2]
  order = np.argsort(-sides.prod(axis=1), kind="stable")
  return [
    _Box(example.truth[i], class_id, names[class_id])
    for i, class_id in zip(order, example.truth_classes[order], strict=True)
  ]


def _found(example: Example, names: Sequence[str]) -> list[_Box]:
  """The detections to be drawn, the surest first."""
  count = min(_MOST, len(example.truth))
  surest = np.argsort(-example.scores, kind="stable")[:count]
  return [
    _Box(
      example.found[i],
      class_id,
      f"{names[class_id]} {example.scores[i]:.2f}".strip(),
      not hit,
    )
    for i, class_id, hit in zip(
      surest, example.found_classes[surest], _hits(example, surest), strict=True
    )
  ]


def _hits(example: Example, surest: np.ndarray) -> list[bool]:
  """Whether each of these detections hits a true box that is still free."""
  if not len(surest):
    return []
  found, truth = (
    np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    for boxes in (
      example.found[surest].astype(np.float64),
      example.truth.astype(np.float64),
    )
  )
  overlaps = mask_lib.iou(found, truth, [0] * len(truth))  # [P, R]
  overlaps[example.found_classes[surest][:, None] != example.truth_classes] = (
    0.0
  )
  hits = []
  for row in overlaps:
    best = int(np.argmax(row))
    hits.append(bool(row[best] >= _OVERLAP))
    if hits[-1]:
      overlaps[:, best] = 0.0
  return hits


def _outline(axis, boxes: Sequence[_Box], palette: np.ndarray) -> None:
  for box in reversed(boxes):  # the first ones lie on top
    xmin, ymin, xmax, ymax = box.place
    for color, width, style in (
      ("black", 2.0, "-"),  # so that it is seen on every ground
      (palette[box.class_id], 1.2, "--" if box.is_dashed else "-"),
    ):
      axis.add_patch(
        patches_lib.Rectangle(
          (xmin, ymin),
          xmax - xmin,
          ymax - ymin,
          fill=False,
          edgecolor=color,
          linewidth=width,
          linestyle=style,
        )
      )


def _label(axis, boxes: Sequence[_Box], palette: np.ndarray) -> None:
  """Writes labels at corners where nothing is written yet."""
  frame, taken = axis.get_window_extent(), []
  for box in boxes:
    xmin, ymin, _, ymax = box.place
    for y, alignment in ((ymin, "bottom"), (ymin, "top"), (ymax, "bottom")):
      text = _text(axis, xmin, y, alignment, box.label, palette[box.class_id])
      place = text.get_window_extent().padded(2)
      inside = (
        place.ymin >= frame.ymin
        and place.ymax <= frame.ymax
        and place.xmax <= frame.xmax
      )
      if box.label and inside and not place.count_overlaps(taken):
        taken.append(place)
        break
      text.remove()


def _text(axis, x, y, alignment: str, label: str, color) -> Any:
  return axis.text(
    x,
    y,
    label,
    fontsize=6,
    color="white" if np.dot(color, (0.3, 0.59, 0.11)) < 0.6 else "black",
    verticalalignment=alignment,
    bbox={"facecolor": color, "edgecolor": "none", "pad": 0.8},
  )
