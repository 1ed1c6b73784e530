"""Tests of tf_ssl.video.frame_store."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.video import frame_store
from tf_ssl.video.source import videos


def stored_numbers(clips, stored):
  """Returns the number that each stored frame shows."""
  shown = []
  for data in tf.data.TFRecordDataset(stored.file).as_numpy_iterator():
    example = tf.train.Example.FromString(data)
    encoded = example.features.feature["image/encoded"].bytes_list.value[0]
    shown.append(clips.number_of(tf.io.decode_jpeg(encoded).numpy()))
  return shown


def test_the_frames_at_multiples_of_the_distance_are_kept(
  clips, clip, tmp_path
):
  found = [clip("a.mp4", count=30), clip("b.mp4", count=11)]
  one, other = frame_store.store(found, str(tmp_path / "kept"), every_frames=7)
  assert one.video == found[0]
  assert one.numbers.tolist() == [0, 7, 14, 21, 28]
  assert stored_numbers(clips, one) == [0, 7, 14, 21, 28]
  assert stored_numbers(clips, other) == other.numbers.tolist() == [0, 7]
  np.testing.assert_allclose(one.times, one.numbers / 25, atol=1e-6)


def test_stored_videos_are_not_decoded_again(clip, tmp_path, monkeypatch):
  found = [clip("a.mp4", count=8)]
  folder = str(tmp_path / "kept")
  before = frame_store.store(found, folder, every_seconds=0.08)
  monkeypatch.setattr(frame_store, "_store_one", None)
  (again,) = frame_store.store(found, folder, every_seconds=0.08)
  assert again.file == before[0].file
  np.testing.assert_array_equal(again.numbers, [0, 2, 4, 6])


def test_a_video_that_changed_is_decoded_again(clip, tmp_path):
  folder = str(tmp_path / "kept")
  before = frame_store.store([clip("a.mp4", count=8)], folder, every_frames=2)
  after = frame_store.store([clip("a.mp4", count=20)], folder, every_frames=2)
  assert len(before[0].numbers) == 4 and len(after[0].numbers) == 10


def test_a_video_listed_twice_is_decoded_once(clip, tmp_path, monkeypatch):
  decoded = []
  store_one = frame_store._store_one

  def counted(decoder, video, *arguments):
    decoded.append(video.name)
    return store_one(decoder, video, *arguments)

  monkeypatch.setattr(frame_store, "_store_one", counted)
  one = clip("a.mp4", count=8)
  found = [one, one._replace(name="again"), clip("b.mp4", count=8)]
  kept = frame_store.store(found, str(tmp_path / "kept"), every_frames=4)
  assert sorted(decoded) == ["a.mp4", "b.mp4"]
  assert [v.video.name for v in kept] == ["a.mp4", "again", "b.mp4"]
  assert kept[0].file == kept[1].file


def test_bad_videos_are_skipped_listed_and_named(clip, tmp_path, caplog):
  (tmp_path / "text.mp4").write_text("no video")
  (tmp_path / "empty.avi").touch()
  clip("good.mp4", count=8)
  found = videos.find_videos(str(tmp_path))
  assert len(found) == 3
  kept = frame_store.store(found, str(tmp_path / "kept"), every_frames=4)
  assert [v.video.name for v in kept] == ["good.mp4"]
  (report,) = (tmp_path / "kept").glob("*/skipped_videos.txt")
  lines = report.read_text().splitlines()
  assert [line.split("\t")[0] for line in lines] == ["empty.avi", "text.mp4"]
  assert all(line.split("\t")[1] for line in lines)
  assert "skipped 2 of 3 videos" in caplog.text
  assert "skipped empty.avi: empty file" in caplog.text


def test_a_source_without_a_good_video_is_refused(tmp_path):
  (tmp_path / "text.mp4").write_text("no video")
  with pytest.raises(errors.UsageError, match="'text.mp4'.*VIDEOS"):
    frame_store.store(
      videos.find_videos(str(tmp_path)), str(tmp_path / "k"), every_frames=1
    )


def test_a_folder_that_cannot_be_written_is_refused(clip, tmp_path):
  (tmp_path / "file").touch()
  with pytest.raises(errors.UsageError, match="file.in.*frames_dir"):
    frame_store.store(
      [clip("a.mp4", count=4)], str(tmp_path / "file" / "in"), every_frames=1
    )


def test_notes_on_videos_are_logged_and_listed_each_time(
  clip, tmp_path, caplog
):
  found = [clip("bare.h264", count=8), clip("good.mp4", count=8)]
  for _ in range(2):  # The second time, nothing is decoded.
    caplog.clear()
    frame_store.store(found, str(tmp_path / "kept"), every_frames=4)
    assert "bare.h264: " in caplog.text and "a guess" in caplog.text
    assert "good.mp4" not in caplog.text
  (report,) = (tmp_path / "kept").glob("*/notes.txt")
  (line,) = report.read_text().splitlines()
  assert line.startswith("bare.h264\t")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
