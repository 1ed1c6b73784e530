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
  """Two frames; each track covers half of the image."""
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


def test_tracks_are_readable_without_this_package(store, three):
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


def test_the_facts_of_each_track_are_kept_with_its_video(store, three):
  store.add(three[1], [clip(three[1])._replace(ends=("cut", ""))])
  store.add(three[0], [])
  empty, one = store.mined()
  assert (empty.video, empty.frames, empty.seconds) == ("a.mp4", 0, 0.0)
  assert (one.video, one.frames) == ("b.mp4", 2)
  assert one.seconds == pytest.approx(0.1)
  assert one.shard in store.shards() and not empty.shard.exists()
  assert [(t.track, t.score, t.end) for t in one.tracks] == [
    (0, 1.0, "cut"),
    (1, 2.0, ""),
  ]
  # An entry of an earlier version has neither the time nor the tracks.
  (path,) = (store.folder / "videos").glob("b.mp4-*.json")
  entry = json.loads(path.read_text())
  del entry["seconds"], entry["each_track"]
  path.write_text(json.dumps(entry))
  assert store.mined()[1].seconds is None and store.mined()[1].tracks == []


def test_failed_videos_are_tried_again_and_others_are_not(store, three):
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
  store.open(SETTINGS)  # As the same command does again.
  assert pickle.loads(pickle.dumps(store)).remaining(three) == three[1:]


def test_an_unexpected_error_fails_only_its_video(store, three):
  def broken():
    raise IndexError("list index out of range")
    yield

  assert "IndexError" in store.add(three[0], broken())["failed"]


def test_a_video_without_tracks_is_done_and_has_no_shard(store, three):
  store.add(three[0], [clip(three[0], tracks=())])
  assert store.remaining(three) == three[1:]
  assert not store.shards()
  assert store.gather()["tracks_per_video"]["none"] == 1


def test_a_changed_video_is_mined_again(store, three):
  store.add(three[0], [clip(three[0])])
  with open(three[0].path, "ab") as file:
    file.write(b"more")
  assert store.remaining(three) == three
  assert not store.shards()


def test_temporary_files_of_a_killed_run_are_removed(store, three):
  for name in ("shards/.a.tfrecord.1.tmp", "videos/.a.frames.tmp"):
    (store.folder / name).write_text("7")
  assert store.progress() == (0, 7)
  store.remaining(three)
  assert store.progress() == (0, 0)
  assert not list((store.folder / "shards").iterdir())


def test_changed_settings_need_another_folder_or_overwrite(store, three):
  store.add(three[0], [clip(three[0])])
  with pytest.raises(errors.UsageError, match="rate.*--output_dir"):
    store.open({**SETTINGS, "rate": 4.0})
  store.open({**SETTINGS, "rate": 4.0}, overwrite=True)
  assert store.remaining(three) == three


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_files_is_refused_and_kept(tmp_path, overwrite):
  (tmp_path / "videos").mkdir()
  (tmp_path / "videos" / "a.mp4").write_text("mine")
  store = track_store.TrackStore(str(tmp_path))
  with pytest.raises(errors.UsageError, match="videos; change --output_dir"):
    store.open(SETTINGS, overwrite=overwrite)
  assert (tmp_path / "videos" / "a.mp4").read_text() == "mine"


def test_a_second_run_is_kept_out(store):
  with store.locked():
    with pytest.raises(errors.UsageError, match="in use.*--output_dir"):
      with store.locked():
        pass
    with pytest.raises(errors.UsageError, match="in use.*--output_dir"):
      store.open(SETTINGS, overwrite=True)
  with store.locked():
    assert store.progress() == (0, 0)


def test_two_videos_with_one_name_are_refused(store, three, tmp_path):
  store.add(three[0], [clip(three[0])])
  other = videos.Video(str(tmp_path / "elsewhere" / "a.mp4"), "a.mp4")
  with pytest.raises(errors.UsageError, match="elsewhere/a.mp4.*--output_dir"):
    store.remaining([other])


def test_names_that_are_not_unicode_are_escaped(store, tmp_path):
  bad, good = (tmp_path / name for name in ("\udcff\n.mp4", "é\udcff.mp4"))
  found = []
  for path in (bad, good):
    path.touch()
    found.append(videos.Video(str(path), path.name))
  store.add(found[1], [clip(found[1])])
  store.add(found[0], iter(lambda: 1 / 0, None))
  assert not store.remaining(found[1:])
  summary = store.gather()
  assert list(summary["failed"]) == [r"\xff\n.mp4"]
  table = (store.folder / "tracks.csv").read_text(encoding="utf-8")
  assert table.splitlines()[1].startswith(r"é\xff.mp4,0,0,")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
