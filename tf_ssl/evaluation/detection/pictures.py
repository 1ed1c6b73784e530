"""Draws detections next to the ground-truth boxes."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import patches as patches_lib

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.reporting import charts

_DPI = 110
_INCHES = 4.0  # Width of one picture.
_LETTERS = 16  # Longest class name.
_MAX_DRAWN = 8  # Detections per picture: more would hide the image.
_OVERLAP = 0.5  # IoU from which a detection is correct, COCO's AP50.


class Example(NamedTuple):
  """One test image.

  Attributes:
    image: [h, w, 3] uint8.
    truth: [R, 4] ground-truth boxes in pixels: xmin, ymin, xmax, ymax.
    truth_classes: [R] int, classes of the ground-truth boxes.
    found: [P, 4] detected boxes in pixels: xmin, ymin, xmax, ymax.
    found_classes: [P] int, classes of the detections.
    scores: [P] float, scores of the detections.
  """

  image: np.ndarray
  truth: np.ndarray
  truth_classes: np.ndarray
  found: np.ndarray
  found_classes: np.ndarray
  scores: np.ndarray


class _Box(NamedTuple):
  """A box to draw; `place` is xmin, ymin, xmax, ymax in pixels."""

  place: np.ndarray
  class_id: int
  label: str
  is_dashed: bool = False


def draw(
  examples: Sequence[Example], class_names: Sequence[str], *, title: str
) -> bytes:
  """Draws one row per example: ground-truth boxes and detections.

  It draws the detections with the highest scores, as many as there are
  ground-truth boxes, but at most 8: no score threshold suits all detectors. A
  detection is dashed unless it matches a ground-truth box of its class, each of
  which matches once. Where labels would overlap, that of the higher score or of
  the larger ground-truth box stays.

  Args:
    examples: test images, at least one.
    class_names: [C] names; the name of a single class is not drawn.
    title: title of the picture.

  Returns:
    PNG bytes.
  """
  palette = charts.palette(len(class_names))
  names = [
    textwrap.shorten(name, _LETTERS, placeholder="…") for name in class_names
  ]
  if len(names) == 1:
    names = [""]
  heights = [min(e.image.shape[0] / e.image.shape[1], 1.0) for e in examples]
  with charts.figure(2 * _INCHES, sum(heights) * _INCHES + 1.0) as figure:
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(
      len(examples), 2, squeeze=False, height_ratios=heights
    )
    axes[0][0].set_title("ground truth", fontsize=9)
    axes[0][1].set_title(
      "highest-scoring detections, one for each object, at most "
      f"{_MAX_DRAWN}\ndashed: no object of its class at an IoU of {_OVERLAP:g}",
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
    figure.draw_without_rendering()  # Gives the axes their final places.
    for axis, boxes in drawn:
      _label(axis, boxes, palette)
  return charts.png(figure, dpi=_DPI)


def _true(example: Example, names: Sequence[str]) -> list[_Box]:
  """The ground-truth boxes, in falling order of area."""
  sides = example.truth[:, 2:] - example.truth[:, :2]
  order = np.argsort(-sides.prod(axis=1), kind="stable")
  return [
    _Box(example.truth[i], class_id, names[class_id])
    for i, class_id in zip(order, example.truth_classes[order], strict=True)
  ]


def _found(example: Example, names: Sequence[str]) -> list[_Box]:
  """The detections to draw, in falling order of score."""
  count = min(_MAX_DRAWN, len(example.truth))
  best = np.argsort(-example.scores, kind="stable")[:count]
  return [
    _Box(
      example.found[i],
      class_id,
      f"{names[class_id]} {example.scores[i]:.2f}".strip(),
      not hit,
    )
    for i, class_id, hit in zip(
      best, example.found_classes[best], _hits(example, best), strict=True
    )
  ]


def _hits(example: Example, rows: np.ndarray) -> list[bool]:
  """Whether each of these detections matches a free ground-truth box."""
  if not len(rows):
    return []
  overlaps = boxes_lib.iou(
    example.found[rows].astype(np.float64), example.truth.astype(np.float64)
  )  # [n, R]
  overlaps[example.found_classes[rows][:, None] != example.truth_classes] = 0.0
  hits = []
  for row in overlaps:
    best = int(np.argmax(row))
    hits.append(bool(row[best] >= _OVERLAP))
    if hits[-1]:
      overlaps[:, best] = 0.0
  return hits


def _outline(axis, boxes: Sequence[_Box], palette: np.ndarray) -> None:
  for box in reversed(boxes):  # The first ones are drawn on top.
    xmin, ymin, xmax, ymax = box.place
    for color, width, style in (
      ("black", 2.0, "-"),  # Visible on every background.
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
  """Writes labels at corners that are still free."""
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
