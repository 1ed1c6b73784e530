"""Tests of tf_ssl.video.tracking.tracker on synthetic scenes."""

import sys

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.ops import boxes as boxes_lib
from tf_ssl.video.tracking import region_features, tracker

HEIGHT, WIDTH = 96, 160


def _noise(seed, height, width):
  coarse = np.random.default_rng(seed).integers(
    0, 256, [height // 8, width // 8, 3], np.uint8
  )
  return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _draw(places, seed=0):
  """One frame: a background and (seed, left, top) patches of 32 pixels."""
  frame = (_noise(seed, HEIGHT, WIDTH) // 3) + 80
  for patch, left, top in places:
    frame[top : top + 32, left : left + 32] = _noise(100 + patch, 32, 32)
  return frame


def _box(left, top):
  return np.array([[left, top, left + 32, top + 32]], float)


def _proposals(*lists):
  """Serves the boxes of frame after frame, whatever the image."""
  served = iter(lists)
  return lambda image: next(served)


def _track(frames, boxes, **settings):
  return tracker.track(
    frames,
    rate=4,
    describe=region_features.Histograms(),
    propose=_proposals(*boxes),
    settings=tracker.Settings(**{"matcher": "greedy", **settings}),
  )


def _longest_from(tracks, start, box):
  mine = [
    t
    for t in tracks
    if t.start == start and boxes_lib.aligned_iou(t.boxes[0], box) > 0.6
  ]
  return max(mine, key=lambda t: len(t.boxes))


@pytest.mark.parametrize("matcher", ["greedy", "mutual", "optimal"])
@pytest.mark.parametrize("flow_prior", [False, True])
def test_a_moving_rectangle_is_followed(matcher, flow_prior):
  places = [(20 + 6 * t, 30) for t in range(5)]
  frames = [_draw([(0, *place)]) for place in places]
  truth = [_box(*place) for place in places]
  tracks = _track(frames, truth, matcher=matcher, flow_prior=flow_prior)
  found = _longest_from(tracks, 0, truth[0][0])
  assert len(found.boxes) == 5
  assert boxes_lib.aligned_iou(found.boxes, np.concatenate(truth)).min() > 0.6
  assert found.similarity.shape == found.contrast.shape == (5,)


def test_a_track_goes_on_where_a_proposal_is_missing():
  places = [(20 + 4 * t, 30) for t in range(5)]
  frames = [_draw([(0, *place)]) for place in places]
  boxes = [_box(*place) for place in places]
  boxes[2] = np.zeros([0, 4])
  found = _longest_from(_track(frames, boxes), 0, boxes[0][0])
  assert len(found.boxes) == 5
  assert boxes_lib.aligned_iou(found.boxes[2], _box(28, 30)[0]) > 0.6


@pytest.mark.parametrize("side_shift, aspect", [(0.1, 1.3), (0.0, 1.0)])
def test_a_track_changes_its_shape_side_by_side(side_shift, aspect):
  # It grows to the right alone, and no proposal says so.
  frames, widths = [], [32 + 4 * t for t in range(8)]
  for width in widths:
    frame = _draw([])
    frame[30:62, 30 : 30 + width] = cv2.resize(_noise(100, 32, 32), (width, 32))
    frames.append(frame)
  none = np.zeros([0, 4])
  tracks = _track(
    frames,
    [_box(30, 30)] + [none] * 7,
    reach_seconds=3.0,
    side_shift=side_shift,
  )
  found = _longest_from(tracks, 0, _box(30, 30)[0])
  width, height = found.boxes[-1, 2:] - found.boxes[-1, :2]
  assert len(found.boxes) == 8
  assert aspect <= width / height < aspect + 0.3  # Of the object, 1.9.


def test_no_track_goes_over_a_cut():
  dark = [_draw([(0, 40, 30)]) // 4 for _ in range(3)]
  light = [255 - frame for frame in dark]
  tracks = _track(dark + light, [_box(40, 30)] * 6)
  assert {t.start for t in tracks} == {0, 3}
  ends = {(t.start + len(t.boxes), t.end) for t in tracks}
  assert ends == {(3, tracker.CUT), (6, tracker.END_OF_STRETCH)}


def test_two_that_cross_keep_their_own_tracks_with_the_flow_prior():
  # A quarter of their size a frame, farther than places are tried: without the
  # prior one of the two tracks is lost.
  left = [(20 + 8 * t, 20) for t in range(9)]
  right = [(100 - 8 * t, 44) for t in range(9)]
  frames = [_draw([(0, *a), (1, *b)]) for a, b in zip(left, right, strict=True)]
  truth = [
    np.concatenate([_box(*a), _box(*b)])
    for a, b in zip(left, right, strict=True)
  ]
  tracks = _track(frames, truth, reach_seconds=3.0, flow_prior=True)
  for row in (0, 1):
    found = _longest_from(tracks, 0, truth[0][row])
    assert len(found.boxes) == 9
    assert boxes_lib.aligned_iou(found.boxes[-1], truth[-1][row]) > 0.6


def test_in_a_still_scene_boxes_stay_where_they_are():
  frames = [_draw([(0, 40, 30)])] * 4
  found = _longest_from(_track(frames, [_box(40, 30)] * 4), 0, _box(40, 30)[0])
  np.testing.assert_allclose(found.boxes, np.tile(_box(40, 30), [4, 1]))


def test_a_track_ends_where_its_region_leaves_the_image():
  places = [(108 + 8 * t, 30) for t in range(10)]  # Up to 180 of 160.
  frames = []
  for left, top in places:
    wide = np.pad(_draw([]), [(0, 0), (0, 64), (0, 0)])
    wide[top : top + 32, left : left + 32] = _noise(100, 32, 32)
    frames.append(wide[:, :WIDTH])
  boxes = [boxes_lib.clip(_box(*p), (HEIGHT, WIDTH)) for p in places]
  tracks = _track(frames, boxes, reach_seconds=3.0, floor=0.95)
  found = _longest_from(tracks, 0, boxes[0][0])
  assert 2 <= len(found.boxes) < 10
  assert found.end in (tracker.OUTSIDE, tracker.UNLIKE)


def test_a_seed_is_followed_for_the_given_time_in_each_direction():
  frames = [_draw([(0, 40, 30)])] * 5
  tracks = _track(frames, [_box(40, 30)] * 5, reach_seconds=0.5)
  assert {(t.start, len(t.boxes), t.end) for t in tracks} >= {
    (0, 3, tracker.LONGEST),
    (2, 3, tracker.END_OF_STRETCH),
  }


@pytest.mark.parametrize("count", [0, 1])
def test_less_than_two_frames_have_no_tracks(count):
  assert not _track([_draw([(0, 40, 30)])] * count, [_box(40, 30)])


def test_constant_frames_without_proposals_have_no_tracks():
  frames = [np.full([HEIGHT, WIDTH, 3], 128, np.uint8)] * 3
  assert not _track(frames, [np.zeros([0, 4])] * 3)


def test_an_unknown_matcher_is_refused_before_any_work():
  with pytest.raises(errors.UsageError, match="matcher='nearest'"):
    _track([], [], matcher="nearest")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
