"""Chains regions of key frames into tracks, and says how sure each one is.

From every region of every key frame, a chain follows the most probable link
into the future and into the past. It ends where no link is probable: behind an
occluder, at a cut, outside the image. A region is thus found again in each key
frame, by a proposal of that frame, instead of sliding onto the background.

Between two key frames a box is where points carry the first region forward and
the second one backward, weighted by the distance in time.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import (
  key_frames,
  links,
  point_tracks,
  track_scores,
  tracker,
)

# Fitted by `python -m benchmarks.tracking --fit` to the videos that
# gin_configs/video/README.md names.
MODEL = links.Model(
  (2.874, -0.318, 0.786, 0.349, 2.637, -1.427, 6.334, -0.294, 0.494, -1.211),
  -5.779,
)
# As above with --encoder; the last weight is of the encoder's similarity.
ENCODER_MODEL = links.Model(
  (
    *(2.867, -0.320, 0.788, 0.347, 2.633),
    *(-1.427, 6.328, -0.289, 0.494, -1.212, 0.005),
  ),
  -5.767,
)
MIN_LINK = 0.15  # Minimum probability of a link.
# The raw logit of a track is that of the product of the probabilities of its
# links, of one second on average, plus a multiple of the mean contrast of
# saliency: what moves on its own is more often an object. The logit of the
# score is this multiple of the raw one plus this constant.
_CONTRAST = 5.0
CERTAINTY = (0.438, 0.605)
_CANDIDATES = 400  # Tracks of a shot, and of those compared, at most.
# Where points, or its last motion, carry the last region of a track: with less
# of it inside the image, the track is said to leave it; with less support of
# its points, to lose them.
_VISIBLE = 0.6
_SUPPORT = 0.25


def find(
  observed: Sequence[key_frames.KeyFrame],
  *,
  rate: float,
  model: links.Model | None = None,
  min_link: float | None = None,
  certainty: tuple[float, float] | None = None,
) -> list[tracker.Track]:
  """Finds the chains of one shot.

  Args:
    observed: key frames of the shot in temporal order.
    rate: sampling rate of its frames, frames per second.
    model: weights of the links; None for `MODEL`, or `ENCODER_MODEL` if an
      encoder describes the regions.
    min_link: minimum probability of a link; None for `MIN_LINK`.
    certainty: factor and constant that turn a raw score into the logit of the
      score; None for `CERTAINTY`.

  Returns:
    The most promising tracks, of at least two key frames. Their score is the
    probability that two boxes of a track, one second apart, show one
    object; their similarity is the probability of the link around each frame.
    Their end is empty if they reach the last key frame.
  """
  if model is None:
    is_learned = any(one.learned is not None for one in observed)
    model = ENCODER_MODEL if is_learned else MODEL
  certainty = certainty or CERTAINTY
  least = MIN_LINK if min_link is None else min_link
  pairs = list(zip(observed, observed[1:], strict=False))
  tables = [links.probability(*pair, model) for pair in pairs]
  seen = [links.is_seen(*pair) for pair in pairs]
  found = [
    _Chain(
      observed[first : first + len(rows)],
      first,
      rows,
      [
        tables[first + k][pair]
        for k, pair in enumerate(itertools.pairwise(rows))
      ],
    )
    for first, rows in _follow(observed, tables, seen, least)
  ]
  scores = [chain.score(rate, certainty) for chain in found]
  order = np.argsort(-np.array(scores), kind="stable")[:_CANDIDATES]
  found = [found[row] for row in order]
  spans = _spans(pairs, found)
  return [
    chain.track(spans, rate, certainty)._replace(end=_end(chain, tables))
    for chain in found
  ]


def _end(chain, tables) -> str:
  """Returns why a chain ends; empty at the last key frame."""
  last = chain.first + len(chain.rows) - 1
  if last == len(tables):
    return ""
  (before, one), (earlier, row) = chain.key_frames[-2:], chain.rows[-2:]
  expected = np.stack(
    [one.ahead.boxes[row], 2 * one.boxes[row] - before.boxes[earlier]]
  )
  inside = boxes_lib.area(boxes_lib.clip(expected, one.size))
  if (inside < _VISIBLE * boxes_lib.area(expected)).any():
    return tracker.OUTSIDE
  if one.ahead.support[row] < _SUPPORT:
    return tracker.POINTS_LOST
  if not tables[last][row].any():
    return tracker.NOTHING_NEAR
  return tracker.UNLIKELY


class _Chain(NamedTuple):
  """Regions of K consecutive key frames.

  Attributes:
    key_frames: the K key frames.
    first: place of the first one in its shot.
    rows: region in each of them.
    chances: K - 1 probabilities of the links.
  """

  key_frames: Sequence[key_frames.KeyFrame]
  first: int
  rows: tuple[int, ...]
  chances: list[float]

  @property
  def contrast(self) -> np.ndarray:
    """[K], contrast of saliency of the regions."""
    pairs = zip(self.key_frames, self.rows, strict=True)
    return np.array([one.contrast[row] for one, row in pairs])

  @property
  def places(self):
    """(place of the first key frame, pair of regions) of each link."""
    return list(enumerate(itertools.pairwise(self.rows), self.first))

  def score(self, rate, certainty) -> float:
    """Returns the probability that a pair of boxes shows one object."""
    seconds = (self.key_frames[-1].time - self.key_frames[0].time) / rate
    mean = np.log(self.chances).sum() / seconds
    logit = mean - np.log(-np.expm1(min(mean, -1e-9)))
    raw = logit + _CONTRAST * self.contrast.mean()
    return float(special.expit(certainty[0] * raw + certainty[1]))

  def track(self, spans, rate, certainty) -> tracker.Track:
    """Returns the track, with the boxes of `_spans`."""
    steps = [spans[place][pair] for place, pair in self.places]
    last = self.key_frames[-1].boxes[self.rows[-1]]
    times = [one.time for one in self.key_frames]
    return tracker.Track(
      times[0],
      np.concatenate([*steps, last[None]]).astype(np.float32),
      np.repeat(
        [*self.chances, self.chances[-1]], [*map(len, steps), 1]
      ).astype(np.float32),
      np.interp(
        np.arange(times[0], times[-1] + 1), times, self.contrast
      ).astype(np.float32),
      self.score(rate, certainty),
    )


def _follow(observed, tables, seen, least) -> list[tuple[int, tuple[int, ...]]]:
  """Returns the distinct chains: the first key frame, and a region in each.

  A chain ends where its best link is to a region that does not show the object.
  """

  def best(table, is_seen):
    """Returns the best column of each row, or -1."""
    if not table.size:
      return np.full(len(table), -1)
    column, rows = table.argmax(1), np.arange(len(table))
    is_kept = (table.max(1) >= least) & is_seen[rows, column]
    return np.where(is_kept, column, -1)

  later = [best(*pair) for pair in zip(tables, seen, strict=True)]
  earlier = [
    best(table.T, one.T) for table, one in zip(tables, seen, strict=True)
  ]
  chains = {}
  for row, one in enumerate(observed):
    for region in range(len(one.boxes)):
      chain, first = [region], row
      while first > 0 and (before := earlier[first - 1][chain[0]]) >= 0:
        chain.insert(0, int(before))
        first -= 1
      last, here = row, region
      while last < len(tables) and (after := later[last][here]) >= 0:
        chain.append(int(after))
        last, here = last + 1, after
      if len(chain) > 1:
        chains[first, tuple(chain)] = None
  return list(chains)


def _spans(pairs, found):
  """Returns the boxes of the links of all chains.

  Returns:
    For each pair of key frames a dictionary from (region of the first, region
    of the second) to boxes [t, 4] at the frames from the first key frame up to
    the frame before the second.
  """
  wanted = [set() for _ in pairs]
  for chain in found:
    for place, pair in chain.places:
      wanted[place].add(pair)
  result = []
  for (one, two), chosen in zip(pairs, wanted, strict=True):
    chosen = sorted(chosen)
    if not chosen:
      result.append({})
      continue
    rows, columns = np.array(chosen).T
    ahead = _at_marks(one.boxes, rows, one.ahead.points)
    back = _at_marks(two.boxes, columns, two.back.points)[::-1]
    share = np.linspace(0, 1, len(ahead))[:, None, None]
    boxes = ((1 - share) * ahead + share * back)[:-1]
    result.append({pair: boxes[:, k] for k, pair in enumerate(chosen)})
  return result


def _at_marks(boxes, rows, points) -> np.ndarray:
  """Returns the boxes of regions at each mark of the points, [T, n, 4]."""
  used, place = np.unique(rows, return_inverse=True)
  at = [boxes[used]] + [
    point_tracks.moved(boxes[used], points.places[0], places, followed)[0]
    for places, followed in zip(
      points.places[1:], points.followed[1:], strict=True
    )
  ]
  return np.stack(at)[:, place]


def best(
  tracks: Sequence[tracker.Track],
  *,
  limit: int | None = None,
  min_frames: int = 2,
  min_precision: float = 0.0,
) -> list[tracker.Track]:
  """Returns the most certain tracks of a video, one per region, best first.

  Args:
    tracks: tracks of `find`.
    limit: maximum number of tracks; None for all.
    min_frames: minimum length of a track, frames.
    min_precision: minimum score of a track: the probability that a pair of its
      boxes, one second apart, shows one object.
  """
  kept = [
    track
    for track in tracks
    if len(track.boxes) >= min_frames and track.score >= min_precision
  ]
  kept.sort(key=lambda track: track.score, reverse=True)
  kept = kept[:_CANDIDATES]
  return [kept[row] for row in track_scores.distinct(kept, limit=limit)]
