"""Tests of tf_ssl.video.mining.track_store."""

import csv
import json
import pickle
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.video.decoding import decode
from tf_ssl.video.mining import track_records, track_store
from tf_ssl.video.source import videos

SETTINGS = {"rate": 8.0, "shifts": (0.0, 0.5)}


def clip(video, first=0, tracks=(0, 1)):
  """Two frames; each track is half of the picture."""
  frames = [
    track_records.TrackedFrame(
      b"\xff\xd8\xff",
      first + number,
      (first + number) / 10,
      np.array(tracks, np.int64),
      np.array([[0, 0, 1, 0.5]] * len(tracks), np.float32).reshape(-1, 4),
    )
    for number in range(2)
  ]
  scores = {track: 1.0 + track for track in tracks}
  return track_records.TrackedClip(
    video.name, 10.0, (20, 40), 10, 20, frames, scores
  )


@pytest.fixture(name="three")
def _three(tmp_path):
  """Three files called a, b and sub/c."""
  (tmp_path / "in" / "sub").mkdir(parents=True)
  found = []
  for name in ("a.mp4", "b.mp4", "sub/c.mp4"):
    (tmp_path / "in" / name).write_bytes(name.encode())
    found.append(videos.Video(str(tmp_path / "in" / name), name))
  return found


@pytest.fixture(name="store")
def _store(tmp_path):
  store = track_store.TrackStore(str(tmp_path / "out"))
  store.open(SETTINGS)
  return store


def test_what_is_written_is_read_without_this_package(store, three):
  store.add(three[0], [clip(three[0]), clip(three[0], 2, (2,))])
  store.add(three[2], [clip(three[2])])
  summary = store.gather()
  shards = store.shards()
  assert [path.name.rpartition("-")[0] for path in shards] == [
    "a.mp4",
    "sub-c.mp4",
  ]
  examples = [
    tf.train.SequenceExample.FromString(record.numpy())
    for record in tf.data.TFRecordDataset([str(path) for path in shards])
  ]
  context = [example.context.feature for example in examples]
  assert [list(one["track/id"].int64_list.value) for one in context] == [
    [0, 1],
    [2],
    [0, 1],
  ]
  with open(store.folder / "tracks.csv") as file:
    rows = list(csv.DictReader(file))
  assert list(rows[0]) == track_store.COLUMNS
  assert len(rows) == 4 + 2 + 4
  assert rows[0] == {
    "video": "a.mp4",
    "track": "0",
    "frame": "0",
    "xmin": "0.0",
    "ymin": "0.0",
    "xmax": "20.0",
    "ymax": "20.0",
    "score": "1.0",
  }
  assert summary["videos"] == 2 and summary["tracks"] == 5
  assert summary["frames"] == 6 and summary["tracks_per_video"]["mean"] == 2.5
  assert summary["per_video"]["a.mp4"]["mean_seconds"] == pytest.approx(0.1)
  assert json.loads((store.folder / "summary.json").read_text()) == summary


def test_what_is_done_is_not_done_again_but_what_failed_is(store, three):
  def broken():
    yield clip(three[1])
    raise decode.DecodeError("b.mp4", "it is truncated")

  store.add(three[0], [clip(three[0])])
  store.add(three[1], broken())
  assert store.progress() == (2, 4)
  summary = store.gather()
  assert summary["failed"] == {"b.mp4": "it is truncated"}
  assert summary["tracks"] == 2 and len(store.shards()) == 1
  assert store.remaining(three) == three[1:]
  store.open(SETTINGS)  # again, as the same command does
  assert pickle.loads(pickle.dumps(store)).remaining(three) == three[1:]


def test_a_fault_that_nobody_thought_of_does_not_end_the_work(store, three):
  def broken():
    raise IndexError("list index out of range")
    yield

  assert "IndexError" in store.add(three[0], broken())["failed"]


def test_a_video_without_tracks_is_done_and_has_no_shard(store, three):
  store.add(three[0], [clip(three[0], tracks=())])
  assert store.remaining(three) == three[1:]
  assert not store.shards()
  assert store.gather()["tracks_per_video"]["none"] == 1


def test_a_video_that_has_changed_is_done_again(store, three):
  store.add(three[0], [clip(three[0])])
  with open(three[0].path, "ab") as file:
    file.write(b"more")
  assert store.remaining(three) == three
  assert not store.shards()


def test_leftovers_of_a_killed_run_are_removed_and_not_counted(store, three):
  for name in ("shards/.a.tfrecord.1.tmp", "videos/.a.frames.tmp"):
    (store.folder / name).write_text("7")
  assert store.progress() == (0, 7)
  store.remaining(three)
  assert store.progress() == (0, 0)
  assert not list((store.folder / "shards").iterdir())


def test_other_settings_need_another_folder_or_overwrite(store, three):
  store.add(three[0], [clip(three[0])])
  with pytest.raises(errors.UsageError, match="rate 8.0 there and 4.0 here"):
    store.open({**SETTINGS, "rate": 4.0})
  store.open({**SETTINGS, "rate": 4.0}, overwrite=True)
  assert store.remaining(three) == three


def test_a_folder_of_something_else_is_left_alone(tmp_path):
  (tmp_path / "letter.txt").write_text("Dear")
  store = track_store.TrackStore(str(tmp_path))
  for overwrite in (False, True):
    with pytest.raises(errors.UsageError, match="something else than tracks"):
      store.open(SETTINGS, overwrite=overwrite)
  assert (tmp_path / "letter.txt").read_text() == "Dear"


def test_two_videos_of_one_name_from_different_places_are_refused(
  store, three, tmp_path
):
  store.add(three[0], [clip(three[0])])
  other = videos.Video(str(tmp_path / "elsewhere" / "a.mp4"), "a.mp4")
  with pytest.raises(errors.UsageError, match="another --output_dir"):
    store.remaining([other])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
