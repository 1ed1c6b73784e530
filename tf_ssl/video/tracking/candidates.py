"""Where tracks may go on in a frame, and how well each place would do."""

from typing import NamedTuple

import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import (
  matching,
  observations,
  region_features,
  saliency,
  tracker_settings,
)


class Candidates(NamedTuple):
  """R + A places for A tracks: the R proposals, and one for each track alone.

  Attributes:
    boxes: [R + A, 4] pixels.
    features: [R + A, F].
    contrast: [R + A], -1..1, of saliency.
    is_visible: [R + A] bool, whether enough of a box is inside of the image.
    scores: [A, R + A], -inf where a track cannot go on.
    similarity: [A, R + A], to each track's template.
  """

  boxes: np.ndarray
  features: np.ndarray
  contrast: np.ndarray
  is_visible: np.ndarray
  scores: np.ndarray
  similarity: np.ndarray


def find(
  expected: np.ndarray,
  templates: np.ndarray,
  frame: observations.Observation,
  describe: region_features.Describe,
  settings: tracker_settings.Settings,
) -> Candidates:
  """Finds the candidates of one frame.

  Args:
    expected: [A, E, 4] pixels, E places where each track may be expected.
    templates: [A, F], what each track looks like, unit length.
    frame: the frame.
    describe: features of regions.
    settings: of the tracker.
  """
  scores, similarity = _proposal_scores(expected, templates, frame, settings)
  own = _best_places(expected, templates, frame, describe, settings)
  # A place found beside the proposals is open to its own track alone.
  diagonal = np.eye(len(templates), dtype=bool)
  boxes = np.concatenate([frame.boxes, own.boxes])
  inside = boxes_lib.area(boxes_lib.clip(boxes, frame.image.shape[:2]))
  return Candidates(
    boxes,
    np.concatenate([frame.features, own.features]),
    saliency.contrast(frame.salient, boxes, area_power=settings.area_power),
    inside >= settings.visible * boxes_lib.area(boxes),
    np.concatenate([scores, np.where(diagonal, own.scores, -np.inf)], 1),
    np.concatenate([similarity, diagonal * own.similarity], 1),
  )


def _proposal_scores(expected, templates, frame, settings):
  similarity = templates @ frame.features.T  # [A, R]
  scores = matching.gated(
    similarity,
    _overlap(expected, frame.boxes[None]),
    floor=settings.floor,
    gate=settings.gate,
    overlap_weight=settings.overlap_weight,
  )
  contrast = saliency.contrast(
    frame.salient, frame.boxes, area_power=settings.area_power
  )
  return scores + settings.contrast_weight * contrast, similarity


class _Places(NamedTuple):
  boxes: np.ndarray  # [A, 4]
  features: np.ndarray  # [A, F]
  scores: np.ndarray  # [A]
  similarity: np.ndarray  # [A]


def _best_places(expected, templates, frame, describe, settings) -> _Places:
  """Of the boxes around the expected ones, the best for each track."""
  near = boxes_lib.neighbors(
    expected.reshape(-1, 4), shifts=settings.shifts, stretch=settings.stretch
  ).reshape(len(expected), -1, 4)  # [A, E J, 4]
  features = describe(frame.image, near.reshape(-1, 4))
  features = features.reshape(*near.shape[:2], -1)  # [A, E J, F]
  similarity = np.einsum("ajf,af->aj", features, templates)
  scores = matching.gated(
    similarity,
    _overlap(expected, near),
    floor=settings.floor,
    gate=0.0,
    overlap_weight=settings.overlap_weight,
  ) + settings.contrast_weight * saliency.contrast(
    frame.salient, near, area_power=settings.area_power
  )
  rows, best = np.arange(len(near)), scores.argmax(1)
  return _Places(*(x[rows, best] for x in (near, features, scores, similarity)))


def _overlap(expected: np.ndarray, candidates: np.ndarray) -> np.ndarray:
  """IoU with the nearest of the places where a track is expected.

  Args:
    expected: [A, E, 4].
    candidates: [A or 1, J, 4].

  Returns:
    [A, J].
  """
  pairs = expected[:, :, None], candidates[:, None]
  return boxes_lib.aligned_iou(*pairs).max(1)
