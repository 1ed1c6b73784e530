"""Estimates where objects are in an image that nobody has annotated.

Regions of a selective search score by how many other regions agree with them or
lie inside them, and by how much they stand out; regions that touch the borders
of the image, as floor and sky do, lose score. The best regions that do not
overlap count as objects. This is a coarse estimate: on photographs most of
these boxes are not the boxes that people draw.
"""

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import region_proposals, saliency

VERSION = 2  # Increase it with every change that moves boxes.
_WIDTH = 240  # px, width that images are reduced to.
# Limits of `region_proposals.plausible`: an object may fill the image, and
# smaller ones are not found.
_MIN_AREA, _MAX_AREA, _OVERLAP = 0.01, 0.9, 0.8
_AGREE = 0.5  # IoU from which two regions agree.
_INSIDE = 0.9  # Share of a region that lies inside another one.
_APART = 0.3  # Share of the smaller of two objects that both may cover.
_MAX_OBJECTS = 20
# The smallest score brings the number of objects in the first 80 rendered
# objects and scenes of world 0 nearest to the truth. The border penalties rank
# Imagenette as more object-centric than COCO, and COCO than CamVid.
_MIN_SCORE = 3.35
_BORDER_PENALTY, _THIRD_BORDER_PENALTY = 0.3, 1.0
_AT_BORDER = 0.01  # Distance to a border, as a share of the side.
_BORDER = 20  # A border strip is the height of the image divided by this.
_SMOOTH = 20.0  # Variance added to the colors of each border.


def find(image: np.ndarray) -> np.ndarray:
  """Estimates the boxes of the objects in an image.

  Args:
    image: [H, W, 3] uint8, RGB.

  Returns:
    [R, 4] float64 pixels, xmin, ymin, xmax, ymax, in falling order of score; at
    least one box unless the image has no region at all, as in one flat color.
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
  scores -= _border_penalty(boxes, small.shape[:2])
  found = boxes[_apart(boxes, scores)]
  scale = np.tile(np.divide(image.shape[1::-1], size), 2)
  return boxes_lib.clip(found * scale, image.shape[:2])


def _agreement(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
  """[R]: mean log number of regions that agree and of regions inside."""
  agree = boxes_lib.iou(boxes, regions) > _AGREE
  common = _common(boxes[:, None], regions[None])
  inside = common > _INSIDE * boxes_lib.area(regions)
  return (np.log1p(agree.sum(1)) + np.log1p(inside.sum(1))) / 2


def _border_penalty(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """[R]: score that regions lose for the borders that they touch."""
  height, width = size
  shares = boxes / [width, height, width, height]
  reached = (shares[:, :2] < _AT_BORDER).sum(1)
  reached += (shares[:, 2:] > 1 - _AT_BORDER).sum(1)
  third = np.maximum(reached - 2, 0)
  return _BORDER_PENALTY * reached + _THIRD_BORDER_PENALTY * third


def _stands_out(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
  """[R]: how much more salient boxes are than their surroundings.

  Saliency is the spectral residual (Hou & Zhang 2007) plus, with twice the
  weight, the distance of colors from the four borders (after Zhang et al. 2015,
  section 3.4), each divided by its mean.
  """
  spectral = cv2.saliency.StaticSaliencySpectralResidual_create()
  _, residual = spectral.computeSaliency(image)
  unlike = _unlike_borders(image)
  salient = residual / (residual.mean() + 1e-6)
  salient += 2 * unlike / (unlike.mean() + 1e-6)
  sums = saliency.integral(salient)
  return saliency.contrast(sums, boxes, area_power=0)


def _unlike_borders(image: np.ndarray) -> np.ndarray:
  """[H, W] float32, 0..1: geometric mean of color distances to the borders."""
  smooth = cv2.GaussianBlur(image, (0, 0), 2)
  lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
  strip = max(3, lab.shape[0] // _BORDER)
  distances = []
  for border in (lab[:strip], lab[-strip:], lab[:, :strip], lab[:, -strip:]):
    colors = border.reshape(-1, 3)
    spread = np.cov(colors.T) + _SMOOTH * np.eye(3)
    away = lab - colors.mean(0)
    # Mahalanobis distance through the Cholesky factor of the inverse.
    scaled = away @ np.linalg.cholesky(np.linalg.inv(spread))
    distance = np.linalg.norm(scaled, axis=2)
    distances.append(
      np.minimum(distance / (np.percentile(distance, 95) + 1e-6), 1)
    )
  return (np.prod(distances, axis=0) ** (1 / len(distances))).astype(np.float32)


def _apart(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
  """Rows of the best boxes that hardly overlap, in falling order of score."""
  areas = boxes_lib.area(boxes)
  kept: list[int] = []
  for row in np.argsort(-scores, kind="stable").tolist():
    if len(kept) == _MAX_OBJECTS or (kept and scores[row] < _MIN_SCORE):
      break
    common = _common(boxes[row], boxes[kept])
    if (common <= _APART * np.minimum(areas[row], areas[kept])).all():
      kept.append(row)
  return kept


def _common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Area that boxes [..., 4] share, in pixels."""
  low = np.maximum(first[..., :2], second[..., :2])
  high = np.minimum(first[..., 2:], second[..., 2:])
  return np.prod(np.maximum(high - low, 0), axis=-1)
