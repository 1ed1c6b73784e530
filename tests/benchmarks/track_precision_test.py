"""Tests of benchmarks.track_precision on hand-made and rendered tracks."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import track_precision
from tf_ssl import errors
from tf_ssl.video.mining import track_records

LEFT, RIGHT = [0.1, 0.1, 0.4, 0.4], [0.1, 0.6, 0.4, 0.9]
NOWHERE = [0.6, 0.1, 0.9, 0.4]
FRAMES = 9  # At 4 frames per second, so that 0.5 s is a lag of 2.


def _write(folder, tracks, *, video="a.mp4", first=0, every=1):
  """Writes a clip; `tracks` are {track: {frame: box}}."""
  folder.mkdir(exist_ok=True)
  frames = []
  for number in range(first, FRAMES * every, every):
    shown = [(t, of[number]) for t, of in tracks.items() if number in of]
    frames.append(
      track_records.TrackedFrame(
        b"jpeg",
        number,
        number / (4.0 * every),
        np.array([t for t, _ in shown], np.int64),
        np.array([box for _, box in shown], np.float32).reshape(-1, 4),
      )
    )
  clip = track_records.TrackedClip(
    video, 4.0, (64, 64), 64, 64, frames, dict.fromkeys(tracks, 1.0)
  )
  with tf.io.TFRecordWriter(str(folder / f"{video}.tfrecord")) as writer:
    writer.write(track_records.serialize(clip))
  return str(folder)


def _still(box, frames=FRAMES):
  return dict.fromkeys(range(frames), box)


@pytest.fixture
def truth(tmp_path):
  return _write(tmp_path / "truth", {1: _still(LEFT), 2: _still(RIGHT)})


def test_the_truth_itself_is_right_in_all_pairs(truth):
  found = track_precision.measure(truth, truth)
  # Two objects, in each 9 frames less the lag of 2, 4 and 8.
  assert [one.pairs for one in found.values()] == [14, 10, 2]
  assert all(one.precision == one.recall == 1 for one in found.values())


def test_a_track_that_changes_to_another_object_makes_wrong_pairs(
  tmp_path, truth
):
  changes = {n: LEFT if n < 4 else RIGHT for n in range(FRAMES)}
  found = track_precision.measure(
    _write(tmp_path / "found", {7: changes}), truth
  )
  # At 0.5 s, 0-2, 1-3 on the left and 4-6 ... 6-8 on the right are right, 2-4
  # and 3-5 are wrong; the objects have 14 frames.
  assert found[0.5] == (7, 5, 14, 5)
  # At 1 s, 0-4 ... 3-7 are wrong, 4-8 is right.
  assert found[1.0] == (5, 1, 10, 1)


def test_tracks_of_the_background_count_only_as_not_found(tmp_path, truth):
  found = track_precision.measure(
    _write(tmp_path / "found", {1: _still(NOWHERE)}), truth
  )
  assert found[1.0] == (0, 0, 10, 0)


def test_a_gap_of_a_track_makes_no_right_pair(tmp_path, truth):
  gap = _still(LEFT)
  del gap[2]
  found = track_precision.measure(_write(tmp_path / "found", {1: gap}), truth)
  # 0-2 is wrong and 2-4 begins nowhere.
  assert found[0.5] == (6, 5, 14, 5)


def test_videos_without_found_tracks_count_as_not_found(tmp_path, truth):
  _write(tmp_path / "truth", {1: _still(LEFT)}, video="b.mp4")
  found = track_precision.measure(
    _write(tmp_path / "found", {1: _still(LEFT)}), truth
  )
  assert found[1.0] == (5, 5, 15, 5)


def test_frames_that_the_truth_does_not_have_are_refused(tmp_path, truth):
  other = _write(tmp_path / "found", {1: {0: LEFT, 10: LEFT}}, every=2)
  with pytest.raises(errors.UsageError, match=r"'a\.mp4': frame 10 is none"):
    track_precision.measure(other, truth)


def test_folders_of_other_videos_are_refused(tmp_path, truth):
  other = _write(tmp_path / "found", {1: _still(LEFT)}, video="other.mp4")
  with pytest.raises(errors.UsageError, match="no video in common"):
    track_precision.measure(other, truth)


@pytest.mark.parametrize("kind", ["damaged", "other"])
def test_files_that_hold_no_tracks_are_named(tmp_path, truth, kind):
  folder = tmp_path / "found"
  folder.mkdir()
  path = folder / "a.tfrecord"
  if kind == "damaged":
    path.write_bytes(b"no record at all, but some bytes of text")
  else:
    with tf.io.TFRecordWriter(str(path)) as writer:
      writer.write(tf.train.SequenceExample().SerializeToString())
  with pytest.raises(errors.UsageError, match=r"a\.tfrecord cannot be read"):
    track_precision.measure(str(folder), truth)


def test_the_command_prints_a_row_for_each_distance(truth, monkeypatch, capsys):
  words = ["track_precision", f"--tracks={truth}", f"--truth={truth}"]
  monkeypatch.setattr(sys, "argv", words)
  track_precision.main()
  shown = capsys.readouterr().out
  assert "1 s" in shown and "100.0 %" in shown
