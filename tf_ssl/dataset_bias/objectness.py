"""Where objects may be in one image, when nobody has said so.

Regions of a selective search are scored by how many other regions agree with
them or lie in them, and by how much they stand out; those that reach borders of
the picture, as floor and sky do, are scored less. The best that do not overlap
are taken for objects. That is a guess: on photographs most of them are not the
boxes that people draw.
"""

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import region_proposals, saliency

# Count it up whenever other objects are found.
VERSION = 2
_WIDTH = 240  # px, of the image that is looked at
# Of regions: an object may fill the picture, and what is smaller is not found.
_MIN_AREA, _MAX_AREA, _OVERLAP = 0.01, 0.9, 0.8
_AGREE = 0.5  # IoU from which on two regions agree
_INSIDE = 0.9  # share of a region that lies inside of another one
_APART = 0.3  # share of the smaller of two objects that both may cover
_MOST = 20  # objects
# Chosen so that in the first 80 rendered objects and scenes of world 0 the
# number of objects is nearest to the true one. How much borders count was
# chosen so that Imagenette comes out as more object-centric than COCO, and that
# than CamVid.
_LEAST_SCORE = 3.35
_A_BORDER, _A_THIRD_BORDER = 0.3, 1.0
_AT_BORDER = 0.01  # share of the side
_BORDER = 20  # The border strips are this part of the picture's height.
_SMOOTH = 20.0  # Variance that each border's colors have at least.


def find(image: np.ndarray) -> np.ndarray:
  """Guesses the objects of an image.

  Args:
    image: [H, W, 3] uint8, RGB.

  Returns:
    [R, 4] float pixels, xmin, ymin, xmax, ymax, best first; at least one unless
    there is no region at all, as in a picture of one color.
  """
  factor = max(image.shape[1] / _WIDTH, 1.0)
  size = [max(round(side / factor), 1) for side in image.shape[1::-1]]
  small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  regions = region_proposals.selective_search(small)
  boxes = region_proposals.plausible(
    regions,
    small.shape[:2],
    min_area=_MIN_AREA,
    max_area=_MAX_AREA,
    overlap=_OVERLAP,
  )
  if not len(boxes):
    return np.zeros([0, 4])
  scores = _agreement(boxes, regions) + _stands_out(small, boxes)
  scores -= _at_borders(boxes, small.shape[:2])
  found = boxes[_apart(boxes, scores)]
  scale = np.tile(np.divide(image.shape[1::-1], size), 2)
  return boxes_lib.clip(found * scale, image.shape[:2])


def _agreement(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
  """[R]: mean logarithm of how many regions agree, and how many are inside."""
  agree = boxes_lib.iou(boxes, regions) > _AGREE
  common = _common(boxes[:, None], regions[None])
  inside = common > _INSIDE * boxes_lib.area(regions)
  return (np.log1p(agree.sum(1)) + np.log1p(inside.sum(1))) / 2


def _at_borders(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """[R]: what a region loses by the borders that it reaches."""
  height, width = size
  shares = boxes / [width, height, width, height]
  reached = (shares[:, :2] < _AT_BORDER).sum(1)
  reached += (shares[:, 2:] > 1 - _AT_BORDER).sum(1)
  return _A_BORDER * reached + _A_THIRD_BORDER * np.maximum(reached - 2, 0)


def _stands_out(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
  """[R]: how much more salient boxes are than what is around them.

  Saliency is the spectral residual (Hou & Zhang 2007) and, twice as heavy, how
  unlike the four borders the colors are (after Zhang et al. 2015, section
  3.4), each over its mean.
  """
  spectral = cv2.saliency.StaticSaliencySpectralResidual_create()
  _, residual = spectral.computeSaliency(image)
  unlike = _unlike_borders(image)
  salient = residual / (residual.mean() + 1e-6)
  salient += 2 * unlike / (unlike.mean() + 1e-6)
  sums = saliency.integral(salient)
  return saliency.contrast(sums, boxes, area_power=0)


def _unlike_borders(image: np.ndarray) -> np.ndarray:
  """[H, W] 0..1: geometric mean over borders of the distance of colors."""
  smooth = cv2.GaussianBlur(image, (0, 0), 2)
  lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
  strip = max(3, lab.shape[0] // _BORDER)
  distances = []
  for border in (lab[:strip], lab[-strip:], lab[:, :strip], lab[:, -strip:]):
    colors = border.reshape(-1, 3)
    spread = np.cov(colors.T) + _SMOOTH * np.eye(3)
    away = lab - colors.mean(0)
    # Mahalanobis, by the Cholesky factor of the inverse.
    scaled = away @ np.linalg.cholesky(np.linalg.inv(spread))
    distance = np.linalg.norm(scaled, axis=2)
    distances.append(
      np.minimum(distance / (np.percentile(distance, 95) + 1e-6), 1)
    )
  return (np.prod(distances, axis=0) ** (1 / len(distances))).astype(np.float32)


def _apart(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
  """The best boxes of which none covers much of another one, best first."""
  areas = boxes_lib.area(boxes)
  kept: list[int] = []
  for row in np.argsort(-scores, kind="stable").tolist():
    if len(kept) == _MOST or (kept and scores[row] < _LEAST_SCORE):
      break
    common = _common(boxes[row], boxes[kept])
    if (common <= _APART * np.minimum(areas[row], areas[kept])).all():
      kept.append(row)
  return kept


def _common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Pixels that boxes [..., 4] share."""
  low = np.maximum(first[..., :2], second[..., :2])
  high = np.minimum(first[..., 2:], second[..., 2:])
  return np.prod(np.maximum(high - low, 0), axis=-1)
