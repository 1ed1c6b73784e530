import re
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.rendering import factors, scripts, videos


@pytest.fixture(scope="module")
def some():
  return [videos.render_video(0, index, 8, image_size=48) for index in range(6)]


def _still_path(x, z):
  return scripts.Swing(np.array([x, z]), np.zeros(2), np.ones(2), np.zeros(2))


def _scripted(*places):
  """Frame 0 of a script with actors at given x, z and the camera at z = 7."""
  drawn = scripts.random_script(0, 0)
  actors = tuple(
    drawn.actors[0]._replace(path=_still_path(x, z)) for x, z in places
  )
  eye = scripts.Swing(
    np.array([0.0, 3, 7, 0, 0]), np.zeros(5), np.ones(5), np.zeros(5)
  )
  script = drawn._replace(actors=actors, eye=eye)
  return next(videos.frames(script, 1, 0, (64, 64), 10.0))


def test_shapes_and_types_are_as_documented(some):
  for video in some:
    count = len(video.categories)
    assert 3 <= count <= 6
    assert video.frames.shape == (8, 48, 48, 3)
    assert video.frames.dtype == video.masks.dtype == np.uint8
    assert video.masks.shape == (8, 48, 48) and video.masks.max() <= count
    assert video.boxes.shape == (8, count, 4)
    assert video.boxes.dtype == np.int32
    assert video.visible_fraction.shape == (8, count)
    assert video.visible_fraction.dtype == np.float32
    assert video.instances.shape == (count,)


def test_a_box_is_the_extent_of_its_mask(some):
  seen = 0
  for video in some:
    for time, mask in enumerate(video.masks):
      for number, box in enumerate(video.boxes[time]):
        rows, columns = np.nonzero(mask == number + 1)
        if rows.size:
          seen += 1
          assert box.tolist() == [
            columns.min(),
            rows.min(),
            columns.max() + 1,
            rows.max() + 1,
          ]
        else:
          assert not box.any()
          assert video.visible_fraction[time, number] == 0
  assert seen > 100


def test_visible_fractions_are_between_0_and_1(some):
  values = np.concatenate([v.visible_fraction.ravel() for v in some])
  assert values.min() >= 0 and values.max() <= 1
  assert 0.3 < (values > 0.95).mean() < 0.95


def test_an_unoccluded_object_is_fully_visible():
  assert _scripted((0, 0)).visible_fraction.tolist() == [1]


def test_an_object_behind_another_is_partly_visible():
  alone = _scripted((0, -2))
  frame = _scripted((0, -2), (0, 1))
  assert frame.visible_fraction[1] == 1
  shown = np.count_nonzero(frame.mask == 1) / np.count_nonzero(alone.mask)
  assert frame.visible_fraction[0] == pytest.approx(shown, abs=1e-6)
  assert 0 < shown < 0.9


def test_an_object_at_the_edge_is_partly_visible():
  inside, edge, beyond = (_scripted((x, 0)) for x in (0, 2.3, 9))
  (shown,) = edge.visible_fraction
  whole = np.count_nonzero(inside.mask)
  assert shown == pytest.approx(np.count_nonzero(edge.mask) / whole, abs=0.15)
  assert 0.1 < shown < 0.9 and edge.boxes[0, 2] == 64
  assert beyond.visible_fraction.tolist() == [0] and not beyond.boxes.any()


def test_two_renderings_are_equal_bit_for_bit(some):
  again = videos.render_video(0, 2, 8, image_size=48)
  for first, second in zip(some[2], again, strict=True):
    np.testing.assert_array_equal(first, second)


def test_a_longer_video_starts_with_the_frames_of_a_shorter_one(some):
  short = videos.render_video(0, 1, 3, image_size=48)
  for first, second in zip(short[:4], some[1][:4], strict=True):
    np.testing.assert_array_equal(first, second[:3])


def test_motion_does_not_depend_on_the_frame_rate(some):
  slow = videos.render_video(0, 1, 4, image_size=48, fps=5)
  np.testing.assert_array_equal(slow.frames, some[1].frames[::2])


def test_seeds_and_indices_make_different_videos(some):
  other = videos.render_video(1, 0, 1, image_size=48).frames[0]
  first = [video.frames[0] for video in some] + [other]
  assert len({image.tobytes() for image in first}) == 7


def test_objects_move_smoothly(some):
  moved = []
  for video in some:
    inside = (video.boxes[..., :2] > 0) & (video.boxes[..., 2:] < 48)
    steady = inside.all(-1) & (video.visible_fraction > 0.99)
    centers = (video.boxes[..., :2] + video.boxes[..., 2:]) / 2
    steps = np.linalg.norm(np.diff(centers, axis=0), axis=-1)
    moved.extend(steps[steady[1:] & steady[:-1]])
  assert len(moved) > 30
  assert 0.2 < np.mean(moved) < 0.05 * 48
  assert np.max(moved) < 0.15 * 48
  for video in some:
    steps = np.abs(np.diff(np.int32(video.frames), axis=0)).mean((1, 2, 3))
    assert steps.min() > 0.5 and steps.max() < 30


def test_objects_are_large_enough_and_pictures_have_contrast(some):
  sides = []
  for video in some:
    whole = (video.visible_fraction > 0.99) & (video.boxes[..., 2] > 0)
    extent = video.boxes[..., 2:] - video.boxes[..., :2]
    sides.extend(extent.max(axis=-1)[whole] / 48)
    assert 30 < video.frames.mean() < 225
    assert video.frames.std(axis=(1, 2)).max(axis=1).min() > 15
  assert np.mean((np.array(sides) > 0.12) & (np.array(sides) < 0.6)) > 0.9


def test_an_actor_turns_about_its_own_axis():
  actor = scripts.random_script(0, 0).actors[0]
  first, later = (actor.at(time).rotation for time in (0.0, 1.0))
  angle = np.degrees(np.arccos((np.trace(first.T @ later) - 1) / 2))
  assert angle == pytest.approx(abs(actor.turn), abs=1e-6)
  assert actor.at(0.0).center[1] == actor.at(1.0).center[1]


def test_blocks_of_indices_share_no_instances():
  pools = []
  for block in range(3):
    drawn = [
      scripts.random_script(0, block * factors.BLOCK + number)
      for number in range(8)
    ]
    pools.append({a.instance for script in drawn for a in script.actors})
  assert len(set.union(*pools)) == sum(map(len, pools))


def test_few_backgrounds_change_nothing_but_floor_and_wall():
  seen = set()
  for index in range(40):
    every = scripts.random_script(0, index)
    few = scripts.random_script(0, index, backgrounds=7)
    assert (few.floor, few.wall) == (every.floor % 7, every.wall % 7)
    assert [a.instance for a in few.actors] == [
      a.instance for a in every.actors
    ]
    np.testing.assert_array_equal(few.eye.at(0.3), every.eye.at(0.3))
    seen.add(few.floor)
  assert seen == set(range(7))
  for number in (0, 71):
    with pytest.raises(errors.UsageError, match=f"backgrounds={number}.*1 to"):
      scripts.random_script(0, 0, backgrounds=number)


def test_frames_may_be_wide():
  video = videos.render_video(0, 0, 1, image_size=(32, 57))
  assert video.frames.shape == (1, 32, 57, 3)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"index": -1}, "index=-1: expected a whole number >= 0; change index"),
    ({"seed": -1}, "seed=-1: expected a whole number >= 0; change seed"),
    ({"num_frames": 0}, "num_frames=0: expected 1 or more; change num_frames"),
    ({"fps": 0}, "fps=0: expected 0.1 to 1000; change fps"),
    ({"image_size": 8}, "image_size=8: expected 16 to 512 pixels"),
    ({"image_size": (32, 999)}, "image_size=999: expected 16 to 512 pixels"),
    (
      {"image_size": (1, 2, 3)},
      "(1, 2, 3): expected one number, or height and",
    ),
  ],
)
def test_arguments_out_of_range_are_named(change, message):
  arguments = {"seed": 0, "index": 0, "num_frames": 1, **change}
  with pytest.raises(errors.UsageError, match=re.escape(message)):
    videos.render_video(**arguments)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
