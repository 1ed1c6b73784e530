"""Pictures for TensorBoard."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tf_ssl.ops import pixels

_BACKGROUND = (250, 250, 250)
_INK = (60, 60, 60)
_MARGIN = 8  # Pixels, around everything and below the caption.
_CAPTION_SIZE = 13  # Pixels.


def from_normalized(images: np.ndarray) -> np.ndarray:
  """Undoes `pixels.normalize`: [..., 3] float -> uint8 0..255."""
  images = np.asarray(images, np.float32)
  images = images * np.float32(pixels.IMAGENET_STD) + pixels.IMAGENET_MEAN
  return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def montage(patches: np.ndarray) -> np.ndarray:
  """[B, P, h, w, 3] -> [B, g * h, g * w, 3]: P = g * g patches, row by row."""
  count, number, height, width, _ = patches.shape
  side = round(number**0.5)
  rows = patches.reshape(count, side, side, height, width, 3)
  return rows.swapaxes(2, 3).reshape(count, side * height, side * width, 3)


def view_grid(
  views: Sequence[np.ndarray], *, caption: str, columns: int = 4
) -> np.ndarray:
  """A grid of examples, the views of each side by side and touching.

  Args:
    views: from left to right, [B, H, W, 3] uint8 each, of one height.
    caption: one line above the grid.
    columns: examples in a row.

  Returns:
    [H', W', 3] uint8.
  """
  pairs = np.concatenate(views, axis=2)  # [B, H, V * W, 3]
  scale = _scale(max(views[0].shape[1:3]))
  height, width = (max(1, round(side * scale)) for side in pairs.shape[1:3])
  columns = min(columns, len(pairs))
  rows = -(-len(pairs) // columns)
  top = 2 * _MARGIN + _CAPTION_SIZE
  font = ImageFont.load_default(_CAPTION_SIZE)
  grid_width = columns * (width + _MARGIN) + _MARGIN
  canvas = Image.new(
    "RGB",
    (
      max(grid_width, int(font.getlength(caption)) + 2 * _MARGIN),
      top + rows * (height + _MARGIN),
    ),
    _BACKGROUND,
  )
  draw = ImageDraw.Draw(canvas)
  draw.text((_MARGIN, _MARGIN), caption, fill=_INK, font=font)
  for i, pair in enumerate(pairs):
    row, column = divmod(i, columns)
    place = (
      _MARGIN + column * (width + _MARGIN),
      top + row * (height + _MARGIN),
    )
    # Pixels of a small view stay visible as squares.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    canvas.paste(Image.fromarray(pair).resize((width, height), how), place)
  return np.asarray(canvas)


def _scale(size: int) -> float:
  """Small views are drawn larger by a whole factor, large ones smaller."""
  return max(1, 96 // size) if size <= 128 else 128 / size


def sprite(images: np.ndarray, *, size: int = 48) -> np.ndarray:
  """Thumbnails in one square picture, as the projector wants them.

  Args:
    images: [N, H, W, 3] uint8.
    size: side of a thumbnail, pixels.

  Returns:
    [S, S, 3] uint8, S = size * ceil(sqrt(N)); row by row, the rest white.
  """
  side = int(np.ceil(np.sqrt(len(images))))
  canvas = Image.new("RGB", (side * size, side * size), "white")
  for i, image in enumerate(images):
    row, column = divmod(i, side)
    thumbnail = Image.fromarray(image).resize((size, size))
    canvas.paste(thumbnail, (column * size, row * size))
  return np.asarray(canvas)
