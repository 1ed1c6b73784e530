"""Tests of tf_ssl.video.mining.mining on a real file."""

import functools
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.ops import boxes
from tf_ssl.video.decoding import decode, isolated
from tf_ssl.video.mining import mining, track_records
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import tracker


@pytest.fixture(name="clips", scope="module")
def _clips(square):
  settings = mining.MiningSettings(
    stretch_seconds=2.0, frame_size=96, width=square.side, tracks_per_stretch=12
  )
  with isolated.Decoder(num_threads=1) as decoder:
    return list(mining.mine(square.video, decoder, settings=settings))


def overlap(box, other):
  return boxes.aligned_iou(np.array([box], float), np.array([other], float))[0]


def test_stretches_are_consecutive_and_ids_unique(clips):
  numbers = [frame.number for clip in clips for frame in clip.frames]
  assert numbers == sorted(set(numbers))
  assert {len(clip.frames) for clip in clips} <= {16, 8}
  ids = [track for clip in clips for track in clip.scores]
  assert len(ids) == len(set(ids)) and ids == sorted(ids)
  assert all(len(clip.scores) <= 12 for clip in clips)


def test_the_square_is_tracked(clips, square):
  rows = [row for clip in clips for row in track_records.rows_of(clip)]
  assert {row[0] for row in rows} == {"square.mp4"}
  hit = {row[2] for row in rows if overlap(row[3:7], square.box(row[2])) >= 0.5}
  assert len(hit) >= 0.8 * square.count


def test_stored_frames_are_small_and_boxes_are_fractions(clips, square):
  for clip in clips:
    assert (clip.height, clip.width) == (96, 96)
    assert clip.video_size == (square.side,) * 2 and clip.fps == square.fps
    again = track_records.parse(track_records.serialize(clip))
    assert again.scores.keys() == clip.scores.keys()
    for frame in clip.frames:
      assert frame.encoded.startswith(b"\xff\xd8\xff")
      assert set(frame.tracks.tolist()) <= set(clip.scores)
      assert ((frame.boxes >= 0) & (frame.boxes <= 1)).all()
      assert (frame.boxes[:, :2] < frame.boxes[:, 2:]).all()


@pytest.mark.parametrize(
  "rate, motion_rate, between", [(4.0, 8.0, 20), (2.0, 6.0, 20), (8.0, 16.0, 0)]
)
def test_frames_between_leave_the_sampled_ones_as_they_are(
  square, rate, motion_rate, between
):
  iterate = functools.partial(decode.iterate_frames, square.video)
  plain = [frame.number for frame in iterate(every_seconds=1 / rate)]
  settings = mining.MiningSettings(motion_rate=motion_rate)
  found = list(mining.with_between(iterate, rate=rate, settings=settings))
  assert [frame.number for frame, is_sampled in found if is_sampled] == plain
  assert sum(not is_sampled for _, is_sampled in found) == between
  # Only `chain` looks at frames between.
  greedy = settings._replace(tracking=tracker.Settings(matcher="greedy"))
  found = list(mining.with_between(iterate, rate=rate, settings=greedy))
  assert [frame.number for frame, _ in found] == plain


def test_the_width_depends_on_the_matcher_unless_it_is_set():
  chain = mining.MiningSettings()
  greedy = chain._replace(tracking=tracker.Settings(matcher="greedy"))
  image = np.zeros([360, 640, 3], np.uint8)
  assert mining.small(image, chain).shape == (270, 480, 3)
  assert mining.small(image, greedy).shape == (135, 240, 3)
  for settings in (chain, greedy):
    settings = settings._replace(width=320)
    assert mining.small(image, settings).shape == (180, 320, 3)
  mining.check(greedy)
  for width in (8, -1):
    with pytest.raises(errors.UsageError, match=f"width={width}: .* 32"):
      mining.check(greedy._replace(width=width))


def test_a_file_that_is_not_a_video_is_named(tmp_path):
  (tmp_path / "a.mp4").write_text("no video")
  expected = pytest.raises(decode.DecodeError)
  with isolated.Decoder() as decoder, expected as raised:
    list(mining.mine(videos.Video(str(tmp_path / "a.mp4"), "a.mp4"), decoder))
  assert raised.value.name == "a.mp4"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
