"""Probability that two regions of consecutive key frames show one object.

A logistic regression on a few measurements. They do not depend on the order of
time. The similarity of features is relative to that of other pairs. With an
encoder, its similarity is one more measurement beside that of the histograms:
the regression decides how much each one counts.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import key_frames

# Measurements of a link, see `measure`.
NAMES = (
  "overlap",
  "weaker overlap",
  "overlap without motion",
  "similarity",
  "shared points",
  "support",
  "contrast",
  "size",
  "change of size",
  "surprise of size",
)
LEARNED = "similarity of the encoder"  # The last one, with an encoder.
_POSSIBLE = 0.35  # Minimum of the best of the three overlaps.
# Where an object goes behind another, the points in its box stay at the edge or
# are lost. With less support, only similar features show that it is the same.
_SUPPORT = 0.15
_SIMILAR = 0.85  # Cosine.


class Model(NamedTuple):
  """Weights of the logistic regression.

  Attributes:
    weights: [10] weights of the measurements `NAMES`; [11] with an encoder.
    bias: constant.
  """

  weights: tuple[float, ...]
  bias: float


def measure(
  first: key_frames.KeyFrame, second: key_frames.KeyFrame
) -> tuple[np.ndarray, np.ndarray]:
  """Measures all links between two consecutive key frames.

  Returns:
    [A, B, 10] measurements between the A regions of the first and the B of the
    second, [A, B, 11] if an encoder describes both, and [A, B] bool, whether a
    link is possible: some overlap is at least 0.35.
  """
  a, b = first.boxes, second.boxes
  ahead = boxes_lib.iou(first.ahead.boxes, b)
  back = boxes_lib.iou(a, second.back.boxes)
  still = boxes_lib.iou(a, b)
  shared = np.sqrt(
    _shared(a, first.ahead.points, b) * _shared(b, second.back.points, a).T
  )
  contrast = np.minimum(first.contrast[:, None], second.contrast[None])
  pixels = first.size[0] * first.size[1]
  log_a, log_b = (
    np.log(np.maximum(boxes_lib.area(boxes), 1.0) / pixels) for boxes in (a, b)
  )
  log_ahead, log_back = (
    np.log(np.maximum(boxes_lib.area(boxes), 1.0) / pixels)
    for boxes in (first.ahead.boxes, second.back.boxes)
  )
  surprise = np.abs(log_ahead[:, None] - log_b[None])
  surprise = (surprise + np.abs(log_a[:, None] - log_back[None])) / 2
  columns = [
    (ahead + back) / 2,
    np.minimum(ahead, back),
    still,
    _similarity(first.features, second.features),
    shared,
    _support(first, second),
    contrast,
    (log_a[:, None] + log_b[None]) / 4,
    np.abs(log_a[:, None] - log_b[None]),
    surprise,
  ]
  if first.learned is not None and second.learned is not None:
    columns.append(_similarity(first.learned, second.learned))
  table = np.stack(columns, -1)
  best = np.maximum(np.maximum(ahead, back), still)
  return table, best >= _POSSIBLE


def is_seen(
  first: key_frames.KeyFrame, second: key_frames.KeyFrame
) -> np.ndarray:
  """Says which pairs of regions may show one object that is not hidden.

  Returns:
    [A, B] bool, whether the support of their points is at least 0.15 or the
    cosine of their histograms at least 0.85.
  """
  if not len(first.boxes) or not len(second.boxes):
    return np.zeros([len(first.boxes), len(second.boxes)], bool)
  cosine = first.features @ second.features.T
  return (_support(first, second) >= _SUPPORT) | (cosine >= _SIMILAR)


def _support(first, second) -> np.ndarray:
  """[A, B], support of the points of both regions, 0..1."""
  return np.sqrt(first.ahead.support[:, None] * second.back.support[None])


def _similarity(features, others) -> np.ndarray:
  """[A, F] and [B, F] -> [A, B], cosines with mean 0 and deviation 1."""
  cosine = features @ others.T
  return (cosine - cosine.mean()) / (cosine.std() + 1e-3)


def _shared(boxes, points, others) -> np.ndarray:
  """Returns the fraction of the points of boxes [A, 4] that end in others.

  Returns:
    [A, B], 0..1; of fewer than four points, as if there were four.
  """
  start = _within(points.places[0], boxes) & points.followed[-1]
  end = _within(points.places[-1], others)
  common = start.astype(np.float32) @ end.T.astype(np.float32)
  return common / np.maximum(start.sum(1), 4)[:, None]


def _within(places, boxes) -> np.ndarray:
  """[n, 2] and [A, 4] -> [A, n] bool, whether a point is in a box."""
  left, top, right, bottom = boxes.T[..., None]
  x, y = places.T
  return (x >= left) & (x < right) & (y >= top) & (y < bottom)


def probability(
  first: key_frames.KeyFrame, second: key_frames.KeyFrame, model: Model
) -> np.ndarray:
  """Returns the probability of each link, [A, B]; 0 if it is impossible."""
  if not len(first.boxes) or not len(second.boxes):
    return np.zeros([len(first.boxes), len(second.boxes)])
  table, is_possible = measure(first, second)
  logit = table @ np.array(model.weights) + model.bias
  return np.where(is_possible, special.expit(logit), 0.0)


def fit(
  table: np.ndarray,
  is_right: np.ndarray,
  weight: np.ndarray,
  *,
  penalty: float = 0.01,
) -> Model:
  """Fits the logistic regression to links whose ends are known.

  Args:
    table: [n, m], measurements.
    is_right: [n] bool, whether both regions show one object.
    weight: [n], weight of each link.
    penalty: weight of the squared weights of the standardized measurements.

  Returns:
    Weights for measurements that are not standardized.
  """
  mean, spread = table.mean(0), table.std(0) + 1e-6
  rows = np.concatenate([(table - mean) / spread, np.ones([len(table), 1])], 1)
  share, sign = weight / weight.sum(), np.where(is_right, 1.0, -1.0)

  def loss(beta):
    margin = sign * (rows @ beta)
    value = -share @ special.log_expit(margin) + penalty * beta[:-1] @ beta[:-1]
    slope = -rows.T @ (share * sign * special.expit(-margin))
    slope[:-1] += 2 * penalty * beta[:-1]
    return value, slope

  beta = optimize.minimize(loss, np.zeros(rows.shape[1]), jac=True).x
  weights = beta[:-1] / spread
  return Model(tuple(weights.tolist()), float(beta[-1] - weights @ mean))
