"""Region tracks of raw video, without a label.

The paper's tracker (Purushwalkam & Gupta 2020): unsupervised region proposals,
matched frame to frame by off-the-shelf features, greedily. The details are
ours:

*   Every half second the proposals that stand out most from their
    surroundings, by motion and by the colours of what moves (`saliency`), are
    seeds, and each is followed into the past and the future.
*   From frame to frame a track goes to a proposal or, because proposals come
    and go, to the best place near where it is expected: the same score decides.
    The score is similarity to the track's template, overlap with the expected
    box (moved by the flow, or where it was), and contrast of saliency.
*   A template changes slowly, so that a track does not creep from an object
    to its surroundings.

Shot cuts end tracks. `track_scores` says which tracks to keep.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.video import boxes as boxes_lib
from tf_ssl.video import (
  matching,
  motion,
  observations,
  region_features,
  region_proposals,
  saliency,
  shots,
)


class Track(NamedTuple):
  """One region, followed over T consecutive sampled frames.

  Attributes:
    start: number of the first of them.
    boxes: [T, 4] float32 pixels; they may reach over the border.
    similarity: [T] float32, to the track's template as it was; 1 at the seed.
    contrast: [T] float32, -1..1, saliency against the surroundings.
    score: the higher the better; `track_scores.best` sets it.
  """

  start: int
  boxes: np.ndarray
  similarity: np.ndarray
  contrast: np.ndarray
  score: float = 0.0


class Settings(NamedTuple):
  """What a track is; the defaults were chosen on twelve videos together.

  Attributes:
    matcher: `greedy`, `mutual` or `optimal`, see matching.
    flow_prior: expect a box where the flow takes it, not where it was. At 8
      frames a second the search around the old place did better.
    seeds: how many tracks start at one moment.
    seed_seconds: time between such moments.
    reach_seconds: how far a seed is followed, in each direction.
    floor: least cosine similarity; a track that finds none ends.
    gate: least overlap of a proposal with the expected box.
    overlap_weight: weight of that overlap beside the similarity.
    contrast_weight: weight of the contrast of saliency beside the similarity.
    area_power: see saliency.contrast.
    seed_area_power: the same, when seeds are chosen.
    learning_rate: share of the newest box in the template.
    shifts: places that are tried beside the proposals, in sizes of the box.
    stretch: how far each side of the expected box is tried farther out and
      farther in, as a share of its size.
    visible: least share of a box inside of the image.
  """

  matcher: str = "greedy"
  flow_prior: bool = False
  seeds: int = 10
  seed_seconds: float = 0.5
  reach_seconds: float = 1.5
  floor: float = 0.75
  gate: float = 0.4
  overlap_weight: float = 0.15
  contrast_weight: float = 0.75
  area_power: float = 0.1
  seed_area_power: float = 0.25
  learning_rate: float = 0.1
  shifts: tuple[float, ...] = (-0.15, 0.0, 0.15)
  stretch: float = 0.1
  visible: float = 0.6


def track(
  frames: Sequence[np.ndarray],
  *,
  rate: float,
  describe: region_features.Describe,
  propose: observations.Propose = region_proposals.selective_search,
  settings: Settings | None = None,
) -> list[Track]:
  """Follows regions through a video.

  Args:
    frames: T times [H, W, 3] uint8, sampled at a constant rate.
    rate: frames a second, of `frames`.
    describe: features of regions, called twice a frame; see region_features.
    propose: proposals of an image, [R, 4] pixels.
    settings: None for the defaults.

  Returns:
    All tracks of two frames or more, by the time of their seeds: several of one
    object, and many that are none. See `track_scores.best`.

  Raises:
    errors.UsageError: for an unknown matcher.
  """
  settings = settings or Settings()
  matching.by_name(settings.matcher)
  found = []
  for first, end in shots.shots(frames):
    shot = observations.observe(
      list(frames[first:end]), propose=propose, describe=describe
    )
    found.extend(
      one._replace(start=one.start + first)
      for one in follow_all(
        shot, rate=rate, describe=describe, settings=settings
      )
    )
  return found


def follow_all(
  shot: Sequence[observations.Observation],
  *,
  rate: float,
  describe: region_features.Describe,
  settings: Settings,
) -> list[Track]:
  """The tracks of one shot; frame 0 is its first. See `track`."""
  every = max(round(settings.seed_seconds * rate), 1)
  reach = max(round(settings.reach_seconds * rate), 1)
  seeds = {t: _seeds(shot[t], settings) for t in range(0, len(shot), every)}
  times = range(len(shot))
  future, past = (
    _follow(shot, order, seeds, reach, describe, settings)
    for order in (times, times[::-1])
  )
  tracks = []
  for late, early in zip(
    sorted(future, key=lambda half: half.seed),
    sorted(past, key=lambda half: half.seed),
    strict=True,
  ):
    steps = early.steps[:0:-1] + late.steps
    if len(steps) > 1:
      columns = (np.array(c, np.float32) for c in zip(*steps, strict=True))
      tracks.append(Track(late.seed[0] - len(early.steps) + 1, *columns))
  return tracks


class _Half:
  """A track from its seed in one direction of time."""

  def __init__(self, seed, box, feature, contrast):
    self.seed = seed  # Frame, row of the proposal.
    self.template = feature
    self.steps = [(box, 1.0, contrast)]

  @property
  def box(self):
    return self.steps[-1][0]

  def add(self, box, feature, similarity, contrast, learning_rate):
    self.steps.append((box, similarity, contrast))
    mixed = (1 - learning_rate) * self.template + learning_rate * feature
    self.template = mixed / max(np.linalg.norm(mixed), 1e-6)


def _seeds(frame, settings) -> list[int]:
  contrast = saliency.contrast(
    frame.salient, frame.boxes, area_power=settings.seed_area_power
  )
  return boxes_lib.suppress(
    frame.boxes, contrast, overlap=0.5, limit=settings.seeds
  )


def _follow(shot, order, seeds, reach, describe, settings) -> list[_Half]:
  """Follows all seeds over frames in this order; see follow_all."""
  finished, active = [], []
  for t in order:
    frame = shot[t]
    if active:
      field = frame_flow(shot, t, order.step) if settings.flow_prior else None
      continued = _step(active, frame, field, describe, settings)
      finished += [half for half in active if half not in continued]
      active = continued
    active += [
      _Half(
        (t, row),
        frame.boxes[row],
        frame.features[row],
        saliency.contrast(
          frame.salient, frame.boxes[row], area_power=settings.area_power
        ),
      )
      for row in seeds.get(t, ())
    ]
    is_old = [len(half.steps) > reach for half in active]
    finished += [half for half, old in zip(active, is_old, strict=True) if old]
    active = [half for half, old in zip(active, is_old, strict=True) if not old]
  return finished + active


def frame_flow(
  shot: Sequence[observations.Observation], t: int, step: int
) -> np.ndarray:
  """[H, W, 2] flow to frame t from the one that was visited before it."""
  return shot[t - 1].forward if step > 0 else shot[t + 1].backward


def _step(active, frame, field, describe, settings) -> list[_Half]:
  """Continues the tracks on one frame; returns those that go on."""
  boxes = np.array([half.box for half in active])  # [A, 4]
  expected = boxes if field is None else motion.moved(boxes, field)
  templates = np.stack([half.template for half in active])  # [A, F]
  scores, similarity = _proposal_scores(expected, templates, frame, settings)
  own = _best_places(expected, templates, frame, describe, settings)
  count = len(active)
  # A place found beside the proposals is open to its own track alone.
  diagonal = np.eye(count, dtype=bool)
  scores = np.concatenate([scores, np.where(diagonal, own.scores, -np.inf)], 1)
  similarity = np.concatenate([similarity, diagonal * own.similarity], 1)
  candidates = np.concatenate([frame.boxes, own.boxes])
  features = np.concatenate([frame.features, own.features])
  contrast = saliency.contrast(
    frame.salient, candidates, area_power=settings.area_power
  )
  size = frame.image.shape[:2]
  inside = boxes_lib.area(boxes_lib.clip(candidates, size))
  visible = inside >= settings.visible * boxes_lib.area(candidates)
  going_on = []
  for row, column in matching.by_name(settings.matcher)(scores):
    if visible[column]:
      half = active[row]
      half.add(
        candidates[column],
        features[column],
        similarity[row, column],
        contrast[column],
        settings.learning_rate,
      )
      going_on.append(half)
  return going_on


def _proposal_scores(expected, templates, frame, settings):
  similarity = templates @ frame.features.T  # [A, R]
  scores = matching.gated(
    similarity,
    boxes_lib.iou(expected, frame.boxes),
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
  """Of the boxes around the expected one, the best for each track."""
  near = boxes_lib.neighbours(
    expected, shifts=settings.shifts, stretch=settings.stretch
  )  # [A, J, 4]
  features = describe(frame.image, near.reshape(-1, 4))
  features = features.reshape(*near.shape[:2], -1)  # [A, J, F]
  similarity = np.einsum("ajf,af->aj", features, templates)
  scores = matching.gated(
    similarity,
    boxes_lib.aligned_iou(expected[:, None], near),
    floor=settings.floor,
    gate=0.0,
    overlap_weight=settings.overlap_weight,
  ) + settings.contrast_weight * saliency.contrast(
    frame.salient, near, area_power=settings.area_power
  )
  rows, best = np.arange(len(near)), scores.argmax(1)
  return _Places(*(x[rows, best] for x in (near, features, scores, similarity)))
