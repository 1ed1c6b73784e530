"""Region tracks of raw video, without a label.

The paper's tracker (Purushwalkam & Gupta 2020): unsupervised region proposals,
matched frame to frame by off-the-shelf features, greedily. The details are
ours:

*   Every half second the proposals that stand out most from their
    surroundings, by motion and by the colors of what moves (`saliency`), are
    seeds, and each is followed into the past and the future.
*   From frame to frame a track goes to a proposal or, because proposals come
    and go, to the best place near where it is expected: the same score decides.
    The score is similarity to the track's template, overlap with the expected
    box (where it was, or where the flow takes it), and contrast of saliency.
*   A template changes slowly, so that a track does not creep from an object
    to its surroundings.

Shot cuts end tracks. `track_scores` says which tracks to keep.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import (
  candidates,
  matching,
  motion,
  observations,
  region_features,
  region_proposals,
  saliency,
  shots,
  tracker_settings,
)

Settings = tracker_settings.Settings


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
    finished += [half for half, old in zip(active, is_old, strict=True) if old]
    active = [half for half, old in zip(active, is_old, strict=True) if not old]
  return finished + active


def frame_flows(
  shot: Sequence[observations.Observation], t: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
  """[H, W, 2] flow to frame t from the one visited before it, and back."""
  if step > 0:
    return shot[t - 1].forward, shot[t].backward
  return shot[t + 1].backward, shot[t].forward


def _step(active, frame, fields, describe, settings) -> list[_Half]:
  """Continues the tracks on one frame; returns those that go on."""
  boxes = np.array([half.box for half in active])  # [A, 4]
  expected = boxes[:, None]  # [A, E, 4], at E places
  if fields is not None:
    expected = np.stack([boxes, motion.moved(boxes, *fields)], 1)
  templates = np.stack([half.template for half in active])  # [A, F]
  found = candidates.find(expected, templates, frame, describe, settings)
  going_on = []
  for row, column in matching.by_name(settings.matcher)(found.scores):
    if found.is_visible[column]:
      half = active[row]
      half.add(
        found.boxes[column],
        found.features[column],
        found.similarity[row, column],
        found.contrast[column],
        settings.learning_rate,
      )
      going_on.append(half)
  return going_on
