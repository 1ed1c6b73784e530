"""Tests of tf_ssl.video.mining: from a file to tracks."""

import sys

import av
import numpy as np
import pytest

from tf_ssl.video import (
  boxes,
  decode,
  isolated,
  mining,
  track_records,
  videos,
)

SIDE, FPS, COUNT = 128, 8, 40


def square_at(number):
  """xmin, ymin, xmax, ymax of the square that moves."""
  x = 10 + 2 * number
  return [x, 40, x + 32, 72]


@pytest.fixture(name="video", scope="module")
def _video(tmp_path_factory):
  """A red square goes to the right over a still, textured ground."""
  path = tmp_path_factory.mktemp("videos") / "square.mp4"
  rng = np.random.default_rng(0)
  ground = rng.integers(90, 130, [SIDE // 4, SIDE // 4, 3])
  ground = np.kron(ground, np.ones([4, 4, 1])).astype(np.uint8)
  with av.open(str(path), "w") as output:
    stream = output.add_stream("libx264", rate=FPS)
    stream.width = stream.height = SIDE
    stream.options = {"crf": "15"}
    for number in range(COUNT):
      image = ground.copy()
      x0, y0, x1, y1 = square_at(number)
      image[y0:y1, x0:x1] = (210, 40, 30)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))
  return videos.Video(str(path), "square.mp4")


@pytest.fixture(name="clips", scope="module")
def _clips(video):
  settings = mining.MiningSettings(
    stretch_seconds=2.0, frame_size=96, width=SIDE, tracks_per_stretch=12
  )
  with isolated.Decoder(num_threads=1) as decoder:
    return list(mining.mine(video, decoder, settings=settings))


def overlap(box, other):
  return boxes.aligned_iou(np.array([box], float), np.array([other], float))[0]


def test_stretches_follow_each_other_and_ids_are_unique(clips):
  numbers = [frame.number for clip in clips for frame in clip.frames]
  assert numbers == sorted(set(numbers))
  assert {len(clip.frames) for clip in clips} <= {16, 8}
  ids = [track for clip in clips for track in clip.scores]
  assert len(ids) == len(set(ids)) and ids == sorted(ids)
  assert all(len(clip.scores) <= 12 for clip in clips)


def test_the_square_is_followed(clips):
  rows = [row for clip in clips for row in mining.rows_of(clip)]
  assert {row[0] for row in rows} == {"square.mp4"}
  hit = {row[2] for row in rows if overlap(row[3:7], square_at(row[2])) >= 0.5}
  assert len(hit) >= 0.8 * COUNT


def test_what_is_stored_is_small_and_its_boxes_are_shares(clips):
  for clip in clips:
    assert (clip.height, clip.width) == (96, 96)
    assert clip.video_size == (SIDE, SIDE) and clip.fps == FPS
    again = track_records.parse(track_records.serialize(clip))
    assert again.scores.keys() == clip.scores.keys()
    for frame in clip.frames:
      assert frame.encoded.startswith(b"\xff\xd8\xff")
      assert set(frame.tracks.tolist()) <= set(clip.scores)
      assert ((frame.boxes >= 0) & (frame.boxes <= 1)).all()
      assert (frame.boxes[:, :2] < frame.boxes[:, 2:]).all()


def test_what_is_no_video_is_an_error_that_names_it(tmp_path):
  (tmp_path / "a.mp4").write_text("no video")
  with isolated.Decoder() as decoder, pytest.raises(decode.DecodeError) as told:
    list(mining.mine(videos.Video(str(tmp_path / "a.mp4"), "a.mp4"), decoder))
  assert told.value.name == "a.mp4"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
