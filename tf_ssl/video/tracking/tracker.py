"""Tracks regions through raw video, without labels.

The tracker of Purushwalkam & Gupta 2020: unsupervised region proposals, matched
greedily from frame to frame by off-the-shelf features. The details are ours:

*   Every half second, the proposals with the highest contrast of saliency to
    their surroundings are seeds; saliency combines motion and the colors of
    what moves (`saliency`). Each seed is followed into the future and the past.
*   From frame to frame a track continues at a proposal or, since proposals come
    and go, at the best box near its expected position; both are ranked by one
    score. The score combines similarity to the track's template, overlap with
    the expected box (the last one, or the last one moved by the optical flow),
    and contrast of saliency.
*   The template changes slowly, so that a track does not drift from an object
    to its surroundings.

Shot boundaries end tracks. `track_scores` selects the tracks to keep.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import (
  matching,
  motion,
  region_features,
  region_proposals,
  saliency,
  shots,
)

# Why a track ends after its last frame.
END_OF_STRETCH = "the stretch ends"
CUT = "cut"
OUTSIDE = "leaves the image"
POINTS_LOST = "its points are lost"
NOTHING_NEAR = "no region near it"
UNLIKELY = "no probable link"
UNLIKE = "no similar region near it"
LONGEST = "followed for the longest time"


class Settings(NamedTuple):
  """Settings of the trackers; those of `greedy` were chosen on twelve videos.

  Attributes:
    matcher: `chain`, see `chains`, whose settings are the two at the end; or
      the assignment of candidates to tracks by this module: `greedy`, `mutual`
      or `optimal`, see `matching`, whose settings are the others.
    flow_prior: whether a box is also expected where the optical flow moves it.
    seeds: maximum number of tracks that start in one frame.
    seed_seconds: time between frames with seeds, seconds.
    reach_seconds: time that a seed is followed in each direction, seconds.
    floor: minimum cosine similarity; a track without such a candidate ends.
    gate: minimum IoU of a proposal with the expected box.
    overlap_weight: weight of that IoU relative to the similarity.
    contrast_weight: weight of the contrast of saliency relative to the
      similarity.
    area_power: preference for large boxes, see `saliency.contrast`.
    seed_area_power: preference for large boxes in the choice of seeds.
    learning_rate: weight of the newest box in the template, 0..1.
    shifts: offsets of the boxes that are tried near the expected one, in sizes
      of the box.
    side_shift: distance by which each side of the expected box is tried farther
      out and farther in, as a fraction of the box size.
    visible: minimum fraction of a box inside the image.
    key_seconds: distance of key frames, seconds.
    min_precision: minimum score of a track: the probability that a pair of its
      boxes, one second apart, shows one object.
  """

  matcher: str = "chain"
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
  side_shift: float = 0.1
  visible: float = 0.6
  key_seconds: float = 0.5
  min_precision: float = 0.0


class Track(NamedTuple):
  """One region, followed over T consecutive sampled frames.

  Attributes:
    start: number of its first frame.
    boxes: [T, 4] float32, pixels; they may extend beyond the image.
    similarity: [T] float32, cosine with the template at that time, 1 at the
      seed; of `chains` the probability of the link at that time.
    contrast: [T] float32, -1..1, contrast of saliency to the surroundings.
    score: quality set by `track_scores.best` or `chains.find`, higher is
      better.
    end: why it ends after its last frame, such as `CUT`; empty at the end of
      the given frames.
  """

  start: int
  boxes: np.ndarray
  similarity: np.ndarray
  contrast: np.ndarray
  score: float = 0.0
  end: str = ""


def ended(track: Track, *, first: int, is_cut: bool) -> Track:
  """Places a track of a shot in its stretch.

  Args:
    track: track with frames counted from the start of the shot.
    first: number of the shot's first frame in the stretch.
    is_cut: whether another shot follows.

  Returns:
    The track with the reason for its end, if the shot's end is that.
  """
  end = track.end or (CUT if is_cut else END_OF_STRETCH)
  return track._replace(start=track.start + first, end=end)


def track(
  frames: Sequence[np.ndarray],
  *,
  rate: float,
  describe: region_features.Describe,
  propose: shots.Propose = region_proposals.selective_search,
  settings: Settings | None = None,
) -> list[Track]:
  """Tracks regions through a video.

  Args:
    frames: T images [H, W, 3] uint8, sampled at a constant rate.
    rate: sampling rate of `frames`, frames per second.
    describe: function from an image and boxes to features, called twice per
      frame; see `region_features.Describe`.
    propose: function from an image to proposals [R, 4], pixels.
    settings: settings of the tracker; None for the defaults with the matcher
      `greedy`.

  Returns:
    All tracks of at least two frames, ordered by the time of their seeds: often
    several per object, and many that show no object. See `track_scores.best`.

  Raises:
    UsageError: the matcher is none of this module.
  """
  settings = settings or Settings(matcher="greedy")
  matching.by_name(settings.matcher)
  found = []
  for first, end in shots.find(frames):
    shot = shots.observe(
      list(frames[first:end]), propose=propose, describe=describe
    )
    found.extend(
      ended(one, first=first, is_cut=end < len(frames))
      for one in follow_all(
        shot, rate=rate, describe=describe, settings=settings
      )
    )
  return found


def follow_all(
  shot: Sequence[shots.Observation],
  *,
  rate: float,
  describe: region_features.Describe,
  settings: Settings,
) -> list[Track]:
  """Returns the tracks of one shot, with frames counted from 0; see `track`."""
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
      start = late.seed[0] - len(early.steps) + 1
      tracks.append(Track(start, *columns, end=late.end))
  return tracks


def frame_flows(
  shot: Sequence[shots.Observation], t: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the [H, W, 2] flow to frame t from frame t - step, and back."""
  if step > 0:
    return shot[t - 1].forward, shot[t].backward
  return shot[t + 1].backward, shot[t].forward


class _Half:
  """A track from its seed in one direction of time."""

  def __init__(self, seed, box, feature, contrast):
    self.seed = seed  # Frame, row of the proposal.
    self.template = feature
    self.steps = [(box, 1.0, contrast)]
    self.end = ""  # Why it has ended, if it has.

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
  """Follows all seeds through the frames in the given order."""
  finished, active = [], []
  for t in order:
    frame = shot[t]
    if active:
      fields = None
      if settings.flow_prior:
        fields = frame_flows(shot, t, order.step)
      continued = _step(active, frame, fields, describe, settings)
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
    oldest = [half for half, old in zip(active, is_old, strict=True) if old]
    for half in oldest:
      half.end = LONGEST
    finished += oldest
    active = [half for half, old in zip(active, is_old, strict=True) if not old]
  return finished + active


def _step(active, frame, fields, describe, settings) -> list[_Half]:
  """Continues tracks in one frame; returns those that have not ended.

  The others are told why they end.
  """
  boxes = np.array([half.box for half in active])  # [A, 4]
  expected = boxes[:, None]  # [A, E, 4], at E places
  if fields is not None:
    expected = np.stack([boxes, motion.moved(boxes, *fields)], 1)
  templates = np.stack([half.template for half in active])  # [A, F]
  found = _candidates(expected, templates, frame, describe, settings)
  continued = []
  for half in active:
    half.end = UNLIKE
  for row, column in matching.by_name(settings.matcher)(found.scores):
    half = active[row]
    half.end = "" if found.is_visible[column] else OUTSIDE
    if found.is_visible[column]:
      half.add(
        found.boxes[column],
        found.features[column],
        found.similarity[row, column],
        found.contrast[column],
        settings.learning_rate,
      )
      continued.append(half)
  return continued


class _Candidates(NamedTuple):
  """R + A boxes for A tracks: the R proposals, and one box for each track.

  Attributes:
    boxes: [R + A, 4], pixels.
    features: [R + A, F], unit length.
    contrast: [R + A], -1..1, contrast of saliency.
    is_visible: [R + A] bool, whether enough of the box is inside the image.
    scores: [A, R + A], -inf where a track cannot continue.
    similarity: [A, R + A], cosine with each track's template.
  """

  boxes: np.ndarray
  features: np.ndarray
  contrast: np.ndarray
  is_visible: np.ndarray
  scores: np.ndarray
  similarity: np.ndarray


def _candidates(
  expected: np.ndarray,
  templates: np.ndarray,
  frame: shots.Observation,
  describe: region_features.Describe,
  settings: Settings,
) -> _Candidates:
  """Returns the boxes of one frame at which tracks may continue.

  Args:
    expected: [A, E, 4], pixels, E expected boxes of each track.
    templates: [A, F], template of each track, unit length.
    frame: the frame.
    describe: function from an image and boxes to features.
    settings: settings of the tracker.
  """
  scores, similarity = _proposal_scores(expected, templates, frame, settings)
  own = _best_near(expected, templates, frame, describe, settings)
  # The box found near a track's expected one is for this track alone.
  diagonal = np.eye(len(templates), dtype=bool)
  boxes = np.concatenate([frame.boxes, own.boxes])
  inside = boxes_lib.area(boxes_lib.clip(boxes, frame.image.shape[:2]))
  return _Candidates(
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


class _Near(NamedTuple):
  boxes: np.ndarray  # [A, 4]
  features: np.ndarray  # [A, F]
  scores: np.ndarray  # [A]
  similarity: np.ndarray  # [A]


def _best_near(expected, templates, frame, describe, settings) -> _Near:
  """Returns the best box near the expected ones, for each track."""
  near = boxes_lib.neighbors(
    expected.reshape(-1, 4),
    shifts=settings.shifts,
    side_shift=settings.side_shift,
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
  return _Near(*(x[rows, best] for x in (near, features, scores, similarity)))


def _overlap(expected: np.ndarray, candidates: np.ndarray) -> np.ndarray:
  """Returns the IoU of candidates with the nearest expected box of a track.

  Args:
    expected: [A, E, 4].
    candidates: [A or 1, J, 4].

  Returns:
    [A, J].
  """
  pairs = expected[:, :, None], candidates[:, None]
  return boxes_lib.aligned_iou(*pairs).max(1)
