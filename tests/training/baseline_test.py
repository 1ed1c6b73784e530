"""Tests of tf_ssl.training.baseline and of re-identification in a run."""

import functools
import json
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.input_pipeline import region_tracks
from tf_ssl.methods import moco, region_track_moco
from tf_ssl.ops import jpeg
from tf_ssl.training import (
  baseline,
  callbacks,
  metrics_log,
  pretrain,
  settings,
)
from tf_ssl.training.monitors import base, representation
from tf_ssl.training.monitors import tracks as monitors_tracks
from tf_ssl.video.mining import track_records

pytestmark = pytest.mark.slow

LEFT, RIGHT = [0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]


def write_tracks(folder, videos, seed):
  """Two objects side by side, each with its color, in two noisy frames."""
  rng = np.random.default_rng(seed)
  folder.mkdir()
  with tf.io.TFRecordWriter(str(folder / "a.tfrecord")) as writer:
    for video in range(videos):
      colors = rng.integers(0, 200, [2, 3])
      frames = []
      for t in range(3):
        image = rng.integers(0, 55, [16, 32, 3])
        image[:, :16] += colors[0]
        image[:, 16:] += colors[1]
        frames.append(
          track_records.TrackedFrame(
            jpeg.encode(image.astype(np.uint8)),
            t,
            0.5 * t,
            np.array([0, 1]),
            np.array([LEFT, RIGHT], np.float32),
          )
        )
      clip = track_records.TrackedClip(
        f"{video}.mp4", 2.0, (16, 32), 16, 32, frames, {0: 1.0, 1: 1.0}
      )
      writer.write(track_records.serialize(clip))
  return str(folder)


@pytest.fixture(name="tracks", scope="module")
def fixture_tracks(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tracks")
  return write_tracks(folder / "train", 10, 0), write_tracks(
    folder / "held_out", 6, 1
  )


def method(**weights):
  return functools.partial(
    region_track_moco.build_region_track_moco,
    moco=functools.partial(
      moco.build_moco,
      encoder=shallow_reference.resnet10,
      queue_size=16,
    ),
    **weights,
  )


FRAMES_ALONE = method(frame_weight=1.0, track_weight=0.0)


def tiny(tracks, baseline=FRAMES_ALONE, **changes):
  read = region_tracks.region_tracks
  values = {
    "images": functools.partial(read, source=tracks[0]),
    "monitors": [
      representation.Representation(every=3),
      monitors_tracks.Reidentification(
        tracks=functools.partial(read, source=tracks[1], seconds=1.0),
        baseline=baseline,
        baseline_name="frame pairs alone",
        every=3,
      ),
    ],
    "method": method(),
    "recipe": recipes.moco_v2(),
    "image_size": 16,
    "batch_size": 4,
    "steps": 3,
    "learning_rate": 0.03,
    "log_every": 1,
    "precision": "float32",
    **changes,
  }
  return settings.Pretraining(**values)


def run(run_settings, model_dir):
  return pretrain.pretrain(run_settings, model_dir=str(model_dir))


class _Watched:
  """A run with a baseline, the methods measured in it, and its training."""

  def __init__(self, tracks, folder):
    self.methods, self.trained = [], []
    self.settings, self.folder = tiny(tracks), folder
    start = monitors_tracks.Reidentification.start
    train = baseline.train_and_measure

    def watched_start(monitor, context):
      self.methods.append(context.method)
      start(monitor, context)

    def train_and_measure(*arguments):
      self.trained.append(arguments)
      return train(*arguments)

    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(monitors_tracks.Reidentification, "start", watched_start)
      patch.setattr(baseline, "train_and_measure", train_and_measure)
      self.result = run(self.settings, folder)


@pytest.fixture(name="both", scope="module")
def fixture_both(tracks, tmp_path_factory):
  return _Watched(tracks, tmp_path_factory.mktemp("both") / "run")


def test_the_baseline_equals_a_run_of_its_own(both, tracks, tmp_path):
  alone = run(
    tiny(tracks, method=FRAMES_ALONE, baseline=None), tmp_path / "alone"
  )
  weights = both.methods[1].encoder.get_weights()
  expected = tf.saved_model.load(alone.saved_model).variables
  for one, other in zip(
    sorted(weights, key=_order), sorted(expected, key=_order), strict=True
  ):
    np.testing.assert_allclose(one, other, atol=1e-3)
  # Sums of floats come in any order: one pair may differ.
  one_pair = pytest.approx(alone.after["same_object"], abs=1.01 / 12)
  assert both.result.baseline["same_object"] == one_pair
  assert both.result.before["same_object"] == alone.before["same_object"]
  assert alone.baseline is None


def _order(weight):
  """Sort key: the shape and, roughly, the values."""
  values = np.asarray(weight)
  return values.shape, round(float(np.abs(values).sum()), 2)


def test_a_run_records_both_and_its_two_losses(both):
  result = both.result
  records = metrics_log.read(both.folder / "metrics.jsonl")
  assert records[0]["same_object"] == result.before["same_object"]
  assert records[-1]["same_object"] == result.after["same_object"]
  assert {"frame_loss", "track_loss"} <= set(records[-1])
  record = json.loads((both.folder / "run.json").read_text())
  assert record["baseline"] == result.baseline


def test_a_baseline_stops_on_request(both):
  stop = callbacks.Interruption()
  stop.signal = "SIGTERM"
  [(*arguments, _)] = both.trained
  assert baseline.train_and_measure(*arguments, stop) is None


def test_a_run_whose_baseline_was_interrupted_trains_it_the_next_time(
  both, tmp_path, monkeypatch
):
  folder = tmp_path / "run"
  shutil.copytree(both.folder, folder)
  record = json.loads((folder / "run.json").read_text())
  del record["baseline"]
  (folder / "run.json").write_text(json.dumps(record))
  answers = [None, {"same_object": 0.25}]
  monkeypatch.setattr(baseline, "train_and_measure", lambda *_: answers.pop(0))
  stopped = run(both.settings, folder)
  assert stopped.finished
  assert pathlib.Path(stopped.saved_model, "saved_model.pb").exists()
  assert stopped.baseline is None
  assert run(both.settings, folder).baseline == {"same_object": 0.25}
  # Once measured it is not trained again: there are no answers left.
  assert run(both.settings, folder).baseline == {"same_object": 0.25}


def test_the_summary_compares_the_run_with_its_baseline(both):
  monitor = both.settings.monitors[1]
  before, after = {"same_object": 0.587}, {"same_object": 0.755}
  line = monitor.summary(before, after, {"same_object": 0.66})
  for part in ("1 s", "11 other", "58.7%", "75.5%", "66.0%", "12 pairs"):
    assert part in line
  assert "frame pairs alone" in line
  assert "frame pairs alone" not in monitor.summary(before, after, None)
  assert monitor.summary({}, {}, None) is None
  assert both.result.findings == (
    monitor.summary(
      both.result.before, both.result.after, both.result.baseline
    ),
  )


def _measure(tracks, encoder, folder):
  monitor = monitors_tracks.Reidentification(
    tracks=functools.partial(region_tracks.region_tracks, source=tracks[1])
  )
  monitor.find_data()
  assert (monitor.num_pairs, monitor.num_tracks) == (24, 12)
  monitor.start(
    base.Context(
      method=types.SimpleNamespace(encoder=encoder),
      writer=tf.summary.create_file_writer(str(folder)),
      tensorboard=str(folder),
      model_dir=str(folder),
      image_size=16,
      batch_size=5,
    )
  )
  return monitor.measure(0)["same_object"]


def test_a_deterministic_run_identifies_objects(tracks, tmp_path):
  # TensorFlow rewrites the graphs of datasets in such a run.
  settings_ = tiny(tracks, baseline=None, deterministic=True)
  result = run(settings_, tmp_path / "run")
  assert 0 <= result.after["same_object"] <= 1


def test_an_encoder_of_colors_identifies_objects_and_a_blind_one_none(
  tracks, tmp_path
):
  def mean_color(images, training):
    return tf.reduce_mean(images, [1, 2])

  def blind(images, training):
    return tf.ones([tf.shape(images)[0], 3])

  assert _measure(tracks, mean_color, tmp_path) > 0.9
  assert _measure(tracks, blind, tmp_path) == 0.0


def test_records_without_tracks_are_refused(tracks):
  records = region_tracks.region_tracks(source=tracks[1])
  monitor = monitors_tracks.Reidentification(
    tracks=records._replace(examples=None)
  )
  with pytest.raises(errors.UsageError, match="`tracks`"):
    monitor.find_data()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
