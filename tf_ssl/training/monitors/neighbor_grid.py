"""The picture of nearest neighbors, found at one time or several."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tf_ssl.reporting import charts

TILE = 72  # Pixels, side of an image.
_FRAME = 4
_NAME_SIZE, _HEADING_SIZE, _TITLE_SIZE = 11, 14, 18
_NAME_HEIGHT = 18
_CELL = TILE + 2 * _FRAME + 4
_GAP = 28  # Before each block.
_MARGIN = 16
_PAPER, _INK = "#ffffff", charts.GRAY
_COLORS = {True: charts.COLORS[2], False: charts.COLORS[5], None: "#bbbbbb"}


class Tile(NamedTuple):
  """An image of the picture.

  Attributes:
    image: [TILE, TILE, 3] uint8.
    name: name of its class; "" without.
    right: whether it has its query's class; None for a query, or without
      classes.
  """

  image: np.ndarray
  name: str = ""
  right: bool | None = None


class Block(NamedTuple):
  """The neighbors found at one time.

  Attributes:
    heading: line above the block.
    rows: neighbors of each query, nearest first.
  """

  heading: str
  rows: Sequence[Sequence[Tile]]


def draw(
  queries: Sequence[Tile], blocks: Sequence[Block], *, title: str, note: str
) -> np.ndarray:
  """Draws queries on the left and their neighbors on the right.

  Neighbors of the right class have a green frame, others an orange one.

  Args:
    queries: a query for each row, at least one.
    blocks: neighbors from left to right, with a row for each query.
    title: title of the picture.
    note: line below the title.

  Returns:
    Image [H, W, 3] uint8, with W = `width` of the blocks.
  """
  lefts, right = _lefts(blocks)
  top = _MARGIN + _TITLE_SIZE + 10
  fonts = [
    ImageFont.load_default(size)
    for size in (_TITLE_SIZE, _HEADING_SIZE, _NAME_SIZE)
  ]
  notes = _wrapped(note, fonts[1], right - _MARGIN)
  headings = top + len(notes) * (_HEADING_SIZE + 5) + 14
  first = headings + _HEADING_SIZE + 8
  height = first + len(queries) * (_CELL + _NAME_HEIGHT) + _MARGIN
  canvas = Image.new("RGB", (right + _MARGIN, height), _PAPER)
  pen = ImageDraw.Draw(canvas)
  pen.text((_MARGIN, _MARGIN), title, fill="black", font=fonts[0])
  for i, line in enumerate(notes):
    corner = (_MARGIN, top + i * (_HEADING_SIZE + 5))
    pen.text(corner, line, fill=_INK, font=fonts[1])
  columns = [Block("image", [[query] for query in queries]), *blocks]
  for left, block in zip((_MARGIN, *lefts), columns, strict=True):
    pen.text((left, headings), block.heading, fill="black", font=fonts[1])
    for row, tiles in enumerate(block.rows):
      for column, tile in enumerate(tiles):
        corner = left + column * _CELL, first + row * (_CELL + _NAME_HEIGHT)
        _draw_tile(canvas, pen, corner, tile, fonts[2])
  return np.asarray(canvas)


def _lefts(blocks: Sequence[Block]) -> tuple[list[int], int]:
  """Left edge of each block, and right edge of the last, pixels."""
  lefts, right = [], _MARGIN + _CELL
  for block in blocks:
    lefts.append(right + _GAP)
    right = lefts[-1] + len(block.rows[0]) * _CELL
  return lefts, right


def _draw_tile(canvas, pen, corner, tile, font):
  left, top = corner
  side = TILE + 2 * _FRAME
  color = _COLORS[tile.right]
  pen.rectangle((left, top, left + side - 1, top + side - 1), fill=color)
  image = Image.fromarray(tile.image)
  canvas.paste(image, (left + _FRAME, top + _FRAME))
  name = tile.name
  while name and font.getlength(name) > side:
    name = name[:-1]
  ink = _INK if tile.right is None else color
  pen.text((left, top + side + 1), name, fill=ink, font=font)


def _wrapped(text: str, font, width: int) -> list[str]:
  """Breaks text into lines of at most `width` pixels, where words allow."""
  lines = [""]
  for word in text.split():
    longer = f"{lines[-1]} {word}".strip()
    if lines[-1] and font.getlength(longer) > width:
      lines.append(word)
    else:
      lines[-1] = longer
  return lines
