"""Finds the region tracks of a stretch of video with the chosen matcher."""

from collections.abc import Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.video.tracking import (
  chains,
  key_frames,
  matching,
  region_features,
  region_proposals,
  shots,
  track_scores,
  tracker,
)

CHAIN = "chain"
MATCHERS = (CHAIN, *matching.NAMES)


def check(settings: tracker.Settings) -> None:
  """Checks the settings.

  Raises:
    UsageError: the matcher is unknown, `min_precision` is not in 0..1, or a
      setting is not of the matcher.
  """
  errors.require(
    settings.matcher in MATCHERS,
    f"matcher={settings.matcher!r}: expected one of {', '.join(MATCHERS)}",
  )
  errors.require(
    0 <= settings.min_precision <= 1,
    f"min_precision={settings.min_precision:g}: expected 0 to 1",
  )
  errors.require(
    settings.matcher == CHAIN or not settings.min_precision,
    f"min_precision={settings.min_precision:g} with"
    f" matcher={settings.matcher}: only {CHAIN} estimates the precision of"
    " tracks; expected 0",
  )
  errors.require(
    settings.matcher != CHAIN or not settings.flow_prior,
    f"flow with matcher={CHAIN}, which always follows motion; leave flow out or"
    f" choose one of {', '.join(matching.NAMES)}",
  )


def find(
  frames: Sequence[np.ndarray],
  between: Sequence[Sequence[np.ndarray]] = (),
  *,
  rate: float,
  describe: region_features.Describe,
  propose: key_frames.Propose | None = None,
  settings: tracker.Settings | None = None,
  limit: int | None = None,
) -> list[tracker.Track]:
  """Finds the best tracks of a stretch of video.

  Args:
    frames: T images [H, W, 3] uint8, sampled at a constant rate.
    between: gray images [H, W] uint8 after each of the frames and before the
      next, T lists, which may be empty; or no list at all. Only `chain` uses
      them, for the motion of fast objects.
    rate: sampling rate of `frames`, frames per second.
    describe: function from an image and boxes to features: histograms, or those
      of an encoder, which `chain` uses in addition to histograms.
    propose: function from an image to proposals [R, 4], pixels; None for the
      matcher's selective search.
    settings: settings of the tracker; None for the defaults.
    limit: maximum number of tracks; None for all.

  Returns:
    Tracks, best first.

  Raises:
    UsageError: a setting is out of range.
  """
  settings = settings or tracker.Settings()
  check(settings)
  if settings.matcher != CHAIN:
    found = tracker.track(
      frames,
      rate=rate,
      describe=describe,
      propose=propose or region_proposals.selective_search,
      settings=settings,
    )
    return track_scores.best(found, limit=limit)
  found = []
  for first, end in shots.find(frames):
    observed = observe(
      frames[first:end],
      between[first:end] if len(between) else [()] * (end - first),
      rate=rate,
      describe=describe,
      propose=propose,
      settings=settings,
    )
    found += [
      tracker.ended(track, first=first, is_cut=end < len(frames))
      for track in chains.find(observed, rate=rate)
    ]
  return chains.best(found, limit=limit, min_precision=settings.min_precision)


def observe(
  frames: Sequence[np.ndarray],
  between: Sequence[Sequence[np.ndarray]],
  *,
  rate: float,
  describe: region_features.Describe,
  propose: key_frames.Propose | None = None,
  settings: tracker.Settings,
) -> list[key_frames.KeyFrame]:
  """Observes the key frames of one shot; see `find` and `key_frames`.

  Features of an encoder are used in addition to histograms.
  """
  is_learned = not isinstance(describe, region_features.Histograms)
  return key_frames.observe(
    frames,
    between,
    gap=max(round(settings.key_seconds * rate), 1),
    describe=region_features.Histograms() if is_learned else describe,
    describe_learned=describe if is_learned else None,
    propose=propose or region_proposals.several_searches,
  )
