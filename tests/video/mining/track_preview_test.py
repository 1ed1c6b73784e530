"""Tests of tf_ssl.video.mining.track_preview."""

import sys

import av
import cv2
import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.ops import jpeg
from tf_ssl.video.mining import track_preview, track_records

RED, BLUE = (220, 30, 30), (30, 30, 220)


def clip(count=10, size=(60, 81)):
  """A red square moves over blue; track 3 follows it, track 4 is static."""
  frames = []
  for number in range(count):
    image = np.full([*size, 3], BLUE, np.uint8)
    left = 4 * number
    image[20:40, left : left + 20] = RED
    boxes = [[20, left, 40, left + 20], [40, 0, 60, 20]]
    frames.append(
      track_records.TrackedFrame(
        jpeg.encode(image),
        number,
        number / 5,
        np.array([3, 4], np.int64),
        (np.array(boxes) / [*size, *size]).astype(np.float32),
      )
    )
  return track_records.TrackedClip(
    "a.mp4", 5.0, size, *size, frames, {3: 2.0, 4: 1.0}, ("cut", "")
  )


def shortened(track, frames):
  """A clip whose track is only in the first frames."""
  whole = clip()
  return whole._replace(
    frames=[
      one
      if row < frames
      else one._replace(
        tracks=one.tracks[one.tracks != track],
        boxes=one.boxes[one.tracks != track],
      )
      for row, one in enumerate(whole.frames)
    ]
  )


def near(color, picture):
  return (np.abs(picture.astype(int) - color).max(-1) < 40).mean()


def test_a_row_of_the_sheet_shows_the_region_over_time():
  sheet = track_preview.contact_sheet([clip()])
  height, width = sheet.shape[:2]
  assert width == 10 * 96 and height % 2 == 0
  best, other = sheet[: height // 2], sheet[height // 2 :]
  for column in range(1, 9):
    middle = slice(column * 96 + 30, column * 96 + 60)
    assert near(RED, best[40:80, middle]) > 0.9
    assert near(BLUE, other[40:80, middle]) > 0.9


def test_a_caption_says_how_sure_a_track_is_and_why_it_ends():
  assert (
    track_preview.caption(clip(), 3)
    == "track 3: score 2.00, 10 frames, 0 to 9, end: cut"
  )
  assert track_preview.caption(shortened(4, 5), 4) == (
    "track 4: score 1.00, 5 frames, 0 to 4"
  )
  older = clip()._replace(ends=())
  assert track_preview.caption(older, 3).endswith("0 to 9")


def test_the_last_cell_shows_where_a_track_was_lost():
  # Red moves on by 4 px of 81; the box stays where it was in frame 4.
  last = track_preview.strip(shortened(3, 5), 3)[:, -96:]
  scale = 92 / 81
  top, left = (96 - round(60 * scale)) // 2, 2
  line = last[top + round(22 * scale) : top + round(38 * scale)]
  column = left + round(16 * scale)
  assert near(BLUE, line[:, column : column + 1]) < 0.1  # The box.
  assert near(RED, line[:, column + 7 : column + 20]) > 0.9  # The square.
  assert near(BLUE, line[:, 4 : column - 1]) > 0.9


def test_the_film_shows_an_end_for_half_a_second(tmp_path):
  shown = {}
  for name, one in (("ended", shortened(4, 5)), ("never", shortened(4, 0))):
    one = one._replace(scores=clip().scores, ends=("", "cut"))
    track_preview.film([one], tmp_path / f"{name}.mp4")
    with av.open(str(tmp_path / f"{name}.mp4")) as film:
      shown[name] = [
        frame.to_ndarray(format="rgb24").astype(int)
        for frame in film.decode(video=0)
      ]
  corner = slice(42, 58), slice(0, 18)  # Of the box of track 4.
  differs = [
    np.abs(one[corner] - other[corner]).mean() > 5
    for one, other in zip(*shown.values(), strict=True)
  ]
  # 5 frames a second: at 0.2 and 0.4 s after the last one, not at 0.6 s.
  assert differs == [True] * 7 + [False] * 3


def test_without_tracks_the_sheet_says_so():
  empty = clip()._replace(scores={})
  assert track_preview.contact_sheet([empty]).min() < 100


def test_the_video_has_every_frame_with_its_boxes(tmp_path):
  shard = tmp_path / "a.mp4-1234.tfrecord"
  with tf.io.TFRecordWriter(str(shard)) as writer:
    writer.write(track_records.serialize(clip()))
  track_preview.write(shard, tmp_path / "previews")
  sheet = cv2.imread(str(tmp_path / "previews" / "a.mp4-1234.png"))
  assert sheet is not None
  with av.open(str(tmp_path / "previews" / "a.mp4-1234.mp4")) as film:
    stream = film.streams.video[0]
    assert stream.average_rate == 5
    shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
  assert len(shown) == 10 and shown[0].shape == (60, 80, 3)
  still = shown[5][58, 2:18].astype(int)  # Lower edge of track 4.
  assert np.abs(still - BLUE).max(-1).mean() > 60


def test_a_file_without_tracks_is_an_error(tmp_path):
  (tmp_path / "a.tfrecord").write_bytes(b"no record at all, but long enough")
  with pytest.raises(OSError, match="a.tfrecord"):
    track_preview.write(tmp_path / "a.tfrecord", tmp_path)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
