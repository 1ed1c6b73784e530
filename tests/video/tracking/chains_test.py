"""Tests of tf_ssl.video.tracking.chains on rendered films with exact truth."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import (
  chains,
  matching,
  region_features,
  region_tracks,
  tracker,
)

HEIGHT, WIDTH, SIDE = 96, 160, 28
RATE = 8.0


def _noise(seed, height, width):
  coarse = np.random.default_rng(seed).integers(
    0, 256, [height // 8, width // 8, 3], np.uint8
  )
  return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _frame(places, pan=0, wall=None, side=SIDE):
  """Squares at (seed, left, top), a moving background, and a wall in front."""
  ground = _noise(0, HEIGHT, 3 * WIDTH) // 3 + 80
  # With room for squares that have left the image.
  frame = np.zeros([HEIGHT, 3 * WIDTH, 3], np.uint8)
  inner = frame[:, :WIDTH]
  inner[:] = ground[:, WIDTH + pan : 2 * WIDTH + pan]
  for seed, left, top in places:
    x, y = round(left), round(top)
    patch = cv2.resize(_noise(100 + seed, 32, 32), (side, side))
    frame[y : y + side, x : x + side] = patch
  if wall is not None:
    inner[:, wall[0] : wall[1]] = _noise(7, HEIGHT, WIDTH)[
      :, : wall[1] - wall[0]
    ]
  return inner.copy()


def _film(place, count, *, motion=2, **how):
  """Returns frames, images between, and true boxes [T, 4].

  Args:
    place: function from time in frames to left and top of the square.
    count: number of frames.
    motion: images per frame, of which the first is the frame.
    **how: arguments of `_frame`; `pan` in pixels per frame.
  """
  pan = how.pop("pan", 0)
  frames, between, truth = [], [], []
  side = how.get("side", SIDE)
  for t in range(count):
    images = [
      _frame(
        [(0, *place(t + k / motion))], round(pan * (t + k / motion)), **how
      )
      for k in range(motion)
    ]
    frames.append(images[0])
    between.append([cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in images[1:]])
    left, top = (round(v) for v in place(t))
    truth.append([left, top, left + side, top + side])
  between[-1] = []
  return frames, between, np.array(truth, float)


def _find(frames, between, **settings):
  return region_tracks.find(
    frames,
    between,
    rate=RATE,
    describe=region_features.Histograms(),
    settings=tracker.Settings(**settings),
  )


def _overlaps(track, truth):
  return boxes_lib.aligned_iou(
    track.boxes, truth[track.start : track.start + len(track.boxes)]
  )


def _longest(tracks, truth, overlap=0.6):
  """Returns the longest track that starts on the object."""
  on = [t for t in tracks if _overlaps(t, truth)[0] >= overlap]
  assert on, "no track starts on the object"
  return max(on, key=lambda track: len(track.boxes))


@pytest.mark.parametrize("pan", [0, 6])
def test_a_moving_object_is_followed_through_the_film(pan):
  frames, between, truth = _film(lambda t: (10 + 4 * t, 30), 21, pan=pan)
  tracks = _find(frames, between)
  found = _longest(tracks, truth)
  assert len(found.boxes) == 21
  assert _overlaps(found, truth).min() > 0.6
  for track in tracks:
    count = len(track.boxes)
    assert track.similarity.shape == track.contrast.shape == (count,)
    assert 0 < track.score < 1
  # Best first, and what moves on its own is among the best.
  assert any(_overlaps(t, truth).min() > 0.5 for t in tracks[:5])


def test_a_small_fast_object_needs_the_images_between():
  # Most of its size from frame to frame.
  frames, between, truth = _film(
    lambda t: (4 + 11 * t, 40), 13, side=14, motion=4
  )
  found = _longest(_find(frames, between), truth, 0.4)
  assert len(found.boxes) >= 9
  assert (_overlaps(found, truth) > 0.4).mean() > 0.8


def _begun(tracks, truth, before):
  """Returns the tracks that are on the object up to a frame."""
  seen = [
    track
    for track in tracks
    if track.start < before
    and (_overlaps(track, truth)[: before - track.start] >= 0.6).all()
  ]
  assert seen, "no track is on the object"
  return seen


def test_a_track_ends_where_a_wall_hides_its_object():
  # Behind the wall from frame 8 to the end of the film.
  frames, between, truth = _film(
    lambda t: (6 + 8 * min(t, 10), 34), 21, wall=(70, WIDTH)
  )
  assert truth[8:, 0].min() >= 70
  for track in _begun(_find(frames, between), truth, 4):
    # The first key frame without the object is the last one it can reach.
    assert track.start + len(track.boxes) <= 9
    assert track.end in (
      tracker.POINTS_LOST,
      tracker.NOTHING_NEAR,
      tracker.UNLIKELY,
    )


def test_an_object_that_comes_out_again_has_a_new_track():
  # Completely behind the wall from frame 14 to frame 17.
  frames, between, truth = _film(lambda t: (4 + 4 * t, 34), 29, wall=(60, 100))
  hidden = [row for row in range(29) if 60 <= truth[row, 0] <= 100 - SIDE]
  assert hidden == [14, 15, 16, 17]
  tracks = _find(frames, between)
  for track in _begun(tracks, truth, 8):
    assert track.start + len(track.boxes) <= hidden[-1]
  again = [t for t in tracks if t.start > hidden[0]]
  assert any(_overlaps(t, truth)[-1] >= 0.6 for t in again)


def test_a_track_ends_before_its_object_has_left_the_image():
  frames, between, truth = _film(lambda t: (60 + 9 * t, 30), 21)
  gone = next(row for row in range(21) if truth[row, 0] >= WIDTH)
  tracks = _begun(_find(frames, between), truth, 4)
  assert all(t.start + len(t.boxes) <= gone + 1 for t in tracks)
  assert tracker.OUTSIDE in {t.end for t in tracks}


def test_no_track_goes_over_a_cut():
  frames, between, _ = _film(lambda t: (30 + 3 * t, 30), 8)
  later, more, _ = _film(lambda t: (30 + 3 * t, 30), 8)
  frames += [255 - frame // 2 for frame in later]
  between += [[255 - image // 2 for image in images] for images in more]
  tracks = _find(frames, between)
  assert {t.start for t in tracks} >= {0, 8}
  assert all(t.start + len(t.boxes) <= 8 or t.start >= 8 for t in tracks)
  ends = {(t.start + len(t.boxes), t.end) for t in tracks}
  assert {end for stop, end in ends if stop == 8} == {tracker.CUT}
  assert {end for stop, end in ends if stop == 16} == {tracker.END_OF_STRETCH}


def test_a_minimum_precision_keeps_the_most_certain_tracks():
  frames, between, _ = _film(lambda t: (10 + 4 * t, 30), 13)
  tracks = _find(frames, between)
  middle = float(np.median([track.score for track in tracks]))
  kept = _find(frames, between, min_precision=middle)
  assert 0 < len(kept) < len(tracks)
  assert min(track.score for track in kept) >= middle
  assert not _find(frames, between, min_precision=1.0)


def test_an_encoder_is_used_beside_the_histograms():
  frames, between, truth = _film(lambda t: (10 + 4 * t, 30), 9)
  calls = []

  def learned(image, boxes):
    calls.append(len(boxes))
    rng = np.random.default_rng(len(calls))  # It knows nothing.
    return rng.normal(size=[len(boxes), 8])

  found = region_tracks.find(frames, between, rate=RATE, describe=learned)
  assert len(calls) == 3  # Key frames.
  assert any((_overlaps(t, truth) > 0.5).mean() > 0.8 for t in found)


def test_without_images_between_tracks_are_found_as_well():
  frames, _, truth = _film(lambda t: (10 + 3 * t, 30), 13)
  found = _longest(_find(frames, ()), truth)
  assert len(found.boxes) == 13


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_frames_have_no_tracks(count):
  frames, between, _ = (
    _film(lambda t: (30, 30), count) if count else ([], [], 0)
  )
  assert _find(frames, between) == []


def test_constant_frames_have_no_tracks():
  assert _find([np.full([HEIGHT, WIDTH, 3], 128, np.uint8)] * 9, ()) == []


def test_one_track_is_kept_of_each_region():
  box = np.tile([[0.0, 0, 32, 32]], [5, 1])
  ones = np.ones(5, np.float32)
  tracks = [
    tracker.Track(0, box + shift, ones, ones, score)
    for shift, score in [(0, 0.6), (2, 0.7), (90, 0.8)]
  ]
  assert chains.best(tracks) == [tracks[2], tracks[1]]
  assert chains.best(tracks, limit=1) == [tracks[2]]
  assert chains.best(tracks, min_precision=0.75) == [tracks[2]]
  assert chains.best([]) == []


@pytest.mark.parametrize(
  "settings, message",
  [
    ({"matcher": "nearest"}, "matcher='nearest'.*chain, greedy, mutual"),
    ({"min_precision": 1.5}, "min_precision=1.5: expected 0 to 1"),
    ({"min_precision": 0.5, "matcher": "greedy"}, "only chain"),
    ({"flow_prior": True}, "flow"),
  ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
  with pytest.raises(errors.UsageError, match=message):
    _find([], [], **settings)


def test_every_matcher_finds_the_moving_object():
  frames, between, truth = _film(lambda t: (10 + 4 * t, 30), 9)
  for matcher in region_tracks.MATCHERS:
    tracks = _find(frames, between, matcher=matcher)
    assert any((_overlaps(t, truth) > 0.5).mean() > 0.8 for t in tracks)
  assert set(matching.NAMES) < set(region_tracks.MATCHERS)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
