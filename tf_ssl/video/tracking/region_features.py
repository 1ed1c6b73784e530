"""Hand-crafted appearance features of regions.

A region is divided into cells. A cell is described by histograms of its colors
(each channel of CIE L*a*b*, with soft bins) and of its gradient directions.
Sums over cells come from integral images, so that the cost of a box does not
depend on its size. An encoder's RoI features are the alternative: any function
with the signature of `Describe` works.
"""

from typing import Protocol

import cv2
import numpy as np

_BINS = 8
# Ranges of 8-bit L, a and b that images use.
_RANGES = ((0.0, 256.0), (88.0, 168.0), (88.0, 168.0))
_COLOR = 3 * _BINS


class Describe(Protocol):
  """[H, W, 3] uint8 and boxes [R, 4], pixels -> [R, F] float32, unit length."""

  def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray: ...


class Histograms:
  """Square roots of cell histograms of color and gradient direction.

  The square root makes the cosine of two histograms their Bhattacharyya
  coefficient. The integral image of the last image is cached.

  Args:
    cells: number of cells along each side of a region.
    texture: weight of the gradients in a similarity, 0..1.
    shrink: factor by which the image is reduced before the histograms.
  """

  def __init__(self, *, cells: int = 3, texture: float = 0.5, shrink: int = 2):
    self._cells = cells
    self._shrink = shrink
    self._texture = texture
    self._image = None
    self._integral = None

  def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Describes regions of one image.

    Args:
      image: [H, W, 3] uint8.
      boxes: [R, 4], pixels; only parts inside the image count.

    Returns:
      [R, F] float32 of unit length, F = 32 · cells²; zeros for boxes outside
      the image.
    """
    if image is not self._image:
      self._image = image
      self._integral = _integral(_smaller(image, self._shrink))
    height, width = (n - 1 for n in self._integral.shape[:2])
    scale = [width / image.shape[1], height / image.shape[0]]
    boxes = boxes * (scale + scale)
    share = np.linspace(0, 1, self._cells + 1)
    size = boxes[:, 2:] - boxes[:, :2]
    x = boxes[:, :1] + size[:, :1] * share  # [R, cells + 1]
    y = boxes[:, 1:2] + size[:, 1:] * share
    x = np.rint(x).clip(0, width).astype(np.int32)
    y = np.rint(y).clip(0, height).astype(np.int32)
    corners = self._integral[y[:, :, None], x[:, None, :]]
    sums = np.diff(np.diff(corners, axis=1), axis=2)  # [R, cells, cells, 32]
    pixels = np.diff(y)[:, :, None] * np.diff(x)[:, None, :]
    # Rounding of the integral image can leave tiny negative values.
    roots = np.sqrt(np.maximum(sums, 0) / np.maximum(pixels, 1)[..., None])
    color, texture = (
      _unit(part.reshape(len(boxes), self._cells**2 * part.shape[-1]))
      for part in (roots[..., :_COLOR], roots[..., _COLOR:])
    )
    both = [
      color * np.sqrt(1 - self._texture),
      texture * np.sqrt(self._texture),
    ]
    return _unit(np.concatenate(both, 1)).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
  return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _smaller(image: np.ndarray, factor: int) -> np.ndarray:
  size = [max(round(n / factor), 1) for n in image.shape[1::-1]]
  return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _soft_bins() -> np.ndarray:
  """[3, 256, 8] float32, weights of the bins for each value of L, a and b."""
  values, centers = np.arange(256.0)[:, None], np.arange(_BINS)
  tables = []
  for low, high in _RANGES:
    place = (values - low) * (_BINS / (high - low)) - 0.5
    near = 1 - np.abs(np.clip(place, 0, _BINS - 1) - centers)
    tables.append(np.maximum(near, 0))
  return np.array(tables, np.float32)


_SOFT_BINS = _soft_bins()


def _integral(image: np.ndarray) -> np.ndarray:
  """[H, W, 3] uint8 -> [H+1, W+1, 32] float32, integral image of the bins."""
  smooth = cv2.GaussianBlur(image, (0, 0), 0.8)
  lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
  height, width = image.shape[:2]
  total = np.zeros([height + 1, width + 1, 4 * _BINS], np.float32)
  channels = total[1:, 1:]
  for i, table in enumerate(_SOFT_BINS):
    channels[..., i * _BINS : (i + 1) * _BINS] = table[lab[..., i]]
  light = lab[..., 0].astype(np.float32)
  dx = cv2.Sobel(light, cv2.CV_32F, 1, 0)
  dy = cv2.Sobel(light, cv2.CV_32F, 0, 1)
  strength, angle = cv2.cartToPolar(dx, dy)
  # Opposite directions share a bin.
  direction = (angle * (_BINS / np.pi)).astype(np.int32) % _BINS
  # Divided by 8 to stay in the range where float32 sums are accurate.
  np.put_along_axis(
    channels[..., _COLOR:],
    direction[..., None],
    np.sqrt(strength)[..., None] / 8,
    axis=2,
  )
  np.cumsum(total, 0, out=total)
  np.cumsum(total, 1, out=total)
  return total
