"""Tests of benchmarks.track_training; stand-ins find tracks and train."""

import csv
import pathlib
import sys

import av
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import track_training, training_run
from tf_ssl import errors
from tf_ssl.ops import workdir
from tf_ssl.video.mining import track_records
from tf_ssl.video.source import videos

_BOXED = ("a", "b", "c", "d")


def _film(path):
  """A square of 24 px that moves by 1 px a frame, 30 frames at 10 a second."""
  rng = np.random.default_rng(path.stem.encode()[0])
  background = rng.integers(0, 256, [48, 64, 3], np.uint8)
  square = rng.integers(0, 256, [24, 24, 3], np.uint8)
  with av.open(str(path), "w") as container:
    stream = container.add_stream("mpeg4", rate=10)
    stream.width, stream.height = 64, 48
    for x in range(30):
      image = background.copy()
      image[10:34, x : x + 24] = square
      container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    container.mux(stream.encode(None))


@pytest.fixture(name="films")
def _films(tmp_path):
  """Four films with boxes and one without."""
  folder = tmp_path / "films"
  (folder / "boxes").mkdir(parents=True)
  for name in (*_BOXED, "without"):
    _film(folder / f"{name}.mp4")
    if name in _BOXED:
      rows = [f"{x},{x},10,{x + 24},34" for x in range(30)]
      text = "\n".join(["frame,xmin,ymin,xmax,ymax", *rows])
      (folder / "boxes" / f"{name}.csv").write_text(text)
  return folder


def _clip(name):
  """A clip of three frames; the last has no box."""
  frames = [
    track_records.TrackedFrame(
      b"jpeg",
      number,
      number / 10,
      np.array([4, 5]),
      np.array([[0.0, 0.0, 0.5, 0.5]] * 2, np.float32),
    )
    for number in (0, 20, 99)
  ]
  return track_records.TrackedClip(
    name, 10.0, (48, 64), 24, 32, frames, {4: 0.5, 5: 0.5}, ("end", "end")
  )


@pytest.fixture(name="trained")
def _trained(monkeypatch):
  """Commands of the runs; each leaves an encoder that knows the mean color."""
  commands = []

  def train(words, folder):
    commands.append(words)
    encoder = tf.Module()
    encoder.features = tf.function(
      lambda images: tf.reshape(
        tf.image.resize(tf.cast(images, tf.float32), [4, 4]), [-1, 48]
      ),
      input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.uint8)],
    )
    tf.saved_model.save(encoder, str(folder / "saved_model"))
    return {"steps": 1, "wall_minutes": 0.1, "cpu_minutes": 0.2}

  def find_tracks(manifest, folder):
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for video in videos.find_videos(str(manifest)):
      path = folder / "shards" / f"{pathlib.Path(video.path).stem}.tfrecord"
      with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(track_records.serialize(_clip(video.name)))

  monkeypatch.setattr(training_run, "train", train)
  monkeypatch.setattr(track_training, "_find_tracks", find_tracks)
  return commands


def test_every_second_film_with_boxes_is_left_out(films):
  found = track_training.split(films)
  assert [path.stem for path in found.left_out] == ["b", "d"]
  names = [pathlib.Path(video.path).stem for video in found.training]
  assert sorted(names) == ["a", "c", "without"]


def test_too_few_films_with_boxes_are_one_line(films):
  (films / "boxes" / "a.csv").unlink()
  with pytest.raises(errors.UsageError, match="3 films with boxes; expected"):
    track_training.split(films)


def test_a_true_track_has_the_box_of_each_frame_that_has_one(films):
  found = track_training.with_true_tracks(_clip("a.mp4"), films / "a.mp4")
  first, second, last = found.frames
  np.testing.assert_allclose(
    first.boxes, [[10 / 48, 0, 34 / 48, 24 / 64]], rtol=1e-6
  )
  np.testing.assert_allclose(
    second.boxes, [[10 / 48, 20 / 64, 34 / 48, 44 / 64]], rtol=1e-6
  )
  assert first.tracks.tolist() == [0] and last.boxes.shape == (0, 4)
  assert found.scores == {0: 1.0}
  assert track_records.parse(track_records.serialize(found)).scores == {0: 1.0}


def test_films_become_tracks_runs_and_a_table_in_pieces(films, trained, capsys):
  output = films.parent / "out"
  command = [f"--videos={films}", f"--output_dir={output}", "--seeds=2"]
  track_training.main([*command, "--runs=4"])
  assert "6 runs are left" in capsys.readouterr().out
  track_training.main(command)
  text = capsys.readouterr().out
  assert "runs are left" not in text
  assert (output / "track_training.md").read_text() == text
  assert len(trained) == 10
  given = [
    [w for w in words if "TRACKS" in w or "STEPS" in w] for words in trained
  ]
  assert given[0] == ["--gin_bindings=STEPS=1"] and given[1:3] == [[], []]
  assert [
    f"'{output}/{name}'" in words[0]
    for words, name in zip(given[3:5], ("found/shards", "true"), strict=True)
  ] == [True, True]
  # The squares of the two films differ: each is found again.
  for kind in ("untrained", "frames", "pairs", "found tracks", "true tracks"):
    assert f"| {kind} | 2 | 100.0 (100.0..100.0) | 100.0" in text
  assert "| pairs - frames | +0.0 (+0.0..+0.0) |" in text
  with open(output / "track_training.csv") as stream:
    assert len(list(csv.DictReader(stream))) == 10


def test_only_some_kinds_can_be_trained_and_need_no_tracks(films, trained):
  output = films.parent / "out"
  command = [f"--videos={films}", f"--output_dir={output}", "--seeds=2"]
  track_training.main([*command, "--only=frames", "--only=pairs"])
  assert len(trained) == 4 and not (output / "found").exists()
  assert "| found tracks | " not in (output / "track_training.md").read_text()
  track_training.main([*command, "--only=untrained"])
  assert len(trained) == 6
  assert "| frames | 2 |" in (output / "track_training.md").read_text()


def test_other_films_need_another_folder(films, trained):
  command = [f"--videos={films}", f"--output_dir={films.parent / 'out'}"]
  track_training.main([*command, "--seeds=1", "--runs=1"])
  _film(films / "later.mp4")
  with pytest.raises(errors.UsageError, match="--output_dir"):
    track_training.main([*command, "--seeds=1"])
  assert len(trained) == 1


def test_true_tracks_replace_found_ones_only_where_boxes_are_known(
  films, trained
):
  output = films.parent / "out"
  track_training.main(
    [f"--videos={films}", f"--output_dir={output}", "--seeds=1", "--runs=1"]
  )
  for name, scores in (("a", {0: 1.0}), ("without", {4: 0.5, 5: 0.5})):
    shard = str(output / "true" / f"{name}.tfrecord")
    [serialized] = tf.data.TFRecordDataset(shard)
    assert track_records.parse(serialized.numpy()).scores == scores
  assert workdir.read_json(output / "untrained_seed0" / "track_training.json")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
