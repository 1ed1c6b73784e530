"""Images of the training views in TensorBoard."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tf_ssl import batches
from tf_ssl.ops import pixels
from tf_ssl.training.monitors import base

_BACKGROUND = (250, 250, 250)
_INK = (60, 60, 60)
_MARGIN = 8  # Pixels, around each example and below the caption.
_CAPTION_SIZE = 13  # Pixels.


class Views(base.Monitor):
  """One image with the views of each example side by side.

  There is one image for each two views: `views/query_and_key`, for regions of
  tracks `views/query_region_and_key_region`, for small crops `views/crops`.
  Patches are laid out as they were shuffled. The batch is fixed, so each
  process draws it once.
  """

  every = 0

  def __init__(self, *, max_examples: int = 16):
    """Keeps the number of examples to draw at most."""
    self._max_examples = max_examples

  def start(self, context: base.Context) -> None:
    super().start(context)
    self._batch = context.sample
    self._drawn = False

  def measure(self, step: int) -> Mapping[str, float]:
    """Draws the images the first time; returns no metric."""
    if self._drawn:
      return {}
    self._drawn = True
    fields = batches.view_fields(type(self._batch))
    names = [n for n in fields if getattr(self._batch, n).shape[1]]
    with self.context.writer.as_default(step=step):
      for first in range(0, len(names), 2):
        self._draw(names[first : first + 2])
    return {}

  def _draw(self, names):
    views, sizes = [], []
    for name in names:
      images = getattr(self._batch, name)[: self._max_examples]
      images = from_normalized(images)
      sizes.append(f"{images.shape[-2]} x {images.shape[-3]} px")
      if images.ndim == 5:
        images = _montage(images)
      views.append(images)
    picture = view_grid(
      [_resized_to_height(images, views[0].shape[1]) for images in views],
      caption=f"{' | '.join(names)}, {' | '.join(dict.fromkeys(sizes))}",
    )
    tf.summary.image(f"views/{'_and_'.join(names)}", picture[None])


def from_normalized(images: np.ndarray) -> np.ndarray:
  """Inverts `pixels.normalize`: [..., 3] float -> uint8 0..255."""
  images = np.asarray(images, np.float32)
  images = images * np.float32(pixels.IMAGENET_STD) + pixels.IMAGENET_MEAN
  return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def view_grid(
  views: Sequence[np.ndarray], *, caption: str, columns: int = 4
) -> np.ndarray:
  """Draws a grid of examples, the views of each side by side and touching.

  Args:
    views: views from left to right, [B, H, W, 3] uint8 each, of equal height.
    caption: line of text above the grid.
    columns: number of examples in a row.

  Returns:
    Image [H', W', 3] uint8.
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
    corner = (
      _MARGIN + column * (width + _MARGIN),
      top + row * (height + _MARGIN),
    )
    # Nearest-neighbor keeps the pixels of a small view visible as squares.
    resample = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    resized = Image.fromarray(pair).resize((width, height), resample)
    canvas.paste(resized, corner)
  return np.asarray(canvas)


def _montage(patches: np.ndarray) -> np.ndarray:
  """[B, P, h, w, 3] -> [B, g * h, G * w, 3]: P patches, row by row.

  The grid is g high and G wide, as square as possible; unused cells are blank.
  """
  count, number, height, width, _ = patches.shape
  across = math.ceil(number**0.5)
  down = math.ceil(number / across)
  blank = np.broadcast_to(
    np.uint8(_BACKGROUND),
    [count, down * across - number, height, width, 3],
  )
  cells = np.concatenate([patches, blank], axis=1)
  rows = cells.reshape(count, down, across, height, width, 3)
  return rows.swapaxes(2, 3).reshape(count, down * height, across * width, 3)


def _scale(size: int) -> float:
  """Integer factor for small views, a fraction for large ones."""
  return max(1, 96 // size) if size <= 128 else 128 / size


def _resized_to_height(images: np.ndarray, height: int) -> np.ndarray:
  if images.shape[1] == height:
    return images
  width = round(images.shape[2] * height / images.shape[1])
  return tf.image.resize(images, [height, width], "nearest").numpy()
