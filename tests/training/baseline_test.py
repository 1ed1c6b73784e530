"""Tests of tf_ssl.training.baseline: what the track half adds to a run."""

import functools
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.encoders import resnet
from tf_ssl.input_pipeline import region_tracks
from tf_ssl.methods import moco, region_track_moco
from tf_ssl.ops import jpeg
from tf_ssl.training import (
  baseline,
  closing,
  interruption,
  metrics_log,
  observation,
  pretrain,
  settings,
)
from tf_ssl.training.monitors import tracks as monitors_tracks
from tf_ssl.video.mining import track_records

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
      encoder=functools.partial(resnet.resnet18, width=1 / 16, stem="small"),
      queue_size=16,
    ),
    **weights,
  )


FRAMES_ALONE = method(frame_weight=1.0, track_weight=0.0)


def tiny(tracks, **changes):
  read = region_tracks.region_tracks
  values = {
    "images": functools.partial(read, source=tracks[0]),
    "held_out_tracks": functools.partial(read, source=tracks[1], seconds=1.0),
    "method": method(),
    "baseline": FRAMES_ALONE,
    "baseline_name": "frame pairs alone",
    "recipe": recipes.moco_v2(),
    "image_size": 16,
    "batch_size": 4,
    "steps": 3,
    "learning_rate": 0.03,
    "log_every": 1,
    "monitor_every": 3,
    **changes,
  }
  return settings.Pretraining(**values)


def run(run_settings, model_dir):
  return pretrain.pretrain(run_settings, model_dir=str(model_dir))


class _Watched:
  """A run with a baseline; the models measured in it; what trained it."""

  def __init__(self, tracks, folder):
    self.models, self.trained = [], []
    self.settings, self.folder = tiny(tracks), folder
    monitor, train = observation.same_object, baseline.train_and_measure

    def same_object(run_settings, model):
      self.models.append(model)
      return monitor(run_settings, model)

    def train_and_measure(*arguments):
      self.trained.append(arguments)
      return train(*arguments)

    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(observation, "same_object", same_object)
      patch.setattr(baseline, "train_and_measure", train_and_measure)
      self.result = run(self.settings, folder)


@pytest.fixture(name="both", scope="module")
def fixture_both(tracks, tmp_path_factory):
  return _Watched(tracks, tmp_path_factory.mktemp("both") / "run")


def test_the_baseline_is_the_run_that_it_would_have_been(
  both, tracks, tmp_path
):
  alone = run(
    tiny(tracks, method=FRAMES_ALONE, baseline=None), tmp_path / "alone"
  )
  weights = both.models[1].encoder.get_weights()
  expected = tf.saved_model.load(alone.saved_model).variables
  for one, other in zip(
    sorted(weights, key=_order), sorted(expected, key=_order), strict=True
  ):
    np.testing.assert_allclose(one, other, atol=1e-3)
  found = both.result.same_object
  one_pair = pytest.approx(alone.same_object.after, abs=1.01 / 12)
  assert found.baseline == one_pair  # sums of floats come in any order
  assert found.before == alone.same_object.before
  assert alone.same_object.baseline is None


def _order(weight):
  """Tells weights apart by shape and, roughly, by what is in them."""
  values = np.asarray(weight)
  return values.shape, round(float(np.abs(values).sum()), 2)


def test_a_run_records_both_and_its_two_losses(both):
  found = both.result.same_object
  assert (found.num_pairs, found.num_tracks, found.seconds) == (12, 12, 1.0)
  records = metrics_log.read(both.folder / "metrics.jsonl")
  assert records[0]["same_object"] == found.before
  assert records[-1]["same_object"] == found.after
  assert {"frame_loss", "track_loss"} <= set(records[-1])
  record = json.loads((both.folder / "run.json").read_text())
  assert record["baseline"] == {"same_object": found.baseline}


def test_a_baseline_stops_when_it_is_asked_to(both):
  stop = interruption.Interruption()
  stop.signal = "SIGTERM"
  run_settings, batches, _ = both.trained[0]
  assert baseline.train_and_measure(run_settings, batches, stop) is None


def test_a_run_whose_baseline_was_stopped_is_whole_and_compares_the_next_time(
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
  assert stopped.same_object.baseline is None
  assert run(both.settings, folder).same_object.baseline == 0.25
  # Once measured it is not trained again: there are no answers left.
  assert run(both.settings, folder).same_object.baseline == 0.25


def test_the_closing_lines_say_what_was_compared(both):
  found = closing.SameObject(
    0.587, 0.755, 0.66, "frame pairs alone", 200, 1.0, 526, 104
  )
  lines = closing.lines(both.result._replace(same_object=found))
  assert lines[0] == (
    "Learned:     an object of a held-out video is known again after 1 s, among"
    " 103 others: 58.7% (untrained) -> 75.5% (trained); frame pairs alone, 200"
    " steps: 66.0%; 526 pairs"
  )
  without = closing.lines(both.result._replace(same_object=None))
  assert not any("known again" in line for line in without)
  labeled = both.result._replace(
    same_object=found, knn_before=0.25, knn_after=0.5
  )
  assert "kNN 25.0% (untrained) -> 50.0% (trained)" in closing.lines(labeled)[1]


def test_an_encoder_that_sees_color_knows_every_object_again(tracks):
  records = region_tracks.region_tracks(source=tracks[1])
  monitor = monitors_tracks.SameObject(
    lambda images, training: tf.reduce_mean(images, [1, 2]),
    records,
    image_size=16,
  )
  assert (monitor.num_pairs, monitor.num_tracks) == (24, 12)
  assert monitor.measure(0)["same_object"] > 0.9
  blind = monitors_tracks.SameObject(
    lambda images, training: tf.ones([tf.shape(images)[0], 3]),
    records,
    image_size=16,
  )
  assert blind.measure(0)["same_object"] == 0.0


def test_a_baseline_without_tracks_to_compare_on_is_refused(tracks):
  with pytest.raises(errors.UsageError, match="held_out_tracks"):
    tiny(tracks, held_out_tracks=None)


def test_held_out_tracks_that_are_none_are_refused(tracks):
  records = region_tracks.region_tracks(source=tracks[1])
  with pytest.raises(errors.UsageError, match="are no tracks"):
    monitors_tracks.SameObject(
      None, records._replace(examples=None), image_size=16
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
