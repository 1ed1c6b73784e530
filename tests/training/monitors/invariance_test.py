"""Invariances watched while training."""

import functools
import json
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.datasets.invariance_sets import sets_manifest
from tf_ssl.encoders import resnet
from tf_ssl.invariance import score
from tf_ssl.methods import moco
from tf_ssl.training import pretrain, settings
from tf_ssl.training.monitors import invariance


@pytest.fixture(name="sets")
def fixture_sets(tmp_path):
  """Six sets in two classes: noise on a color that is the set's."""
  rng = np.random.default_rng(0)
  lines = ["path,set,class"]
  for i in range(36):
    color = np.random.default_rng(i // 6).integers(0, 200, size=3)
    image = color + rng.integers(0, 55, size=[16, 16, 3])
    name = f"{i:02d}.png"
    Image.fromarray(image.astype(np.uint8)).save(tmp_path / name)
    lines.append(f"{name},s{i // 6},c{i // 18}")
  file = tmp_path / "noise.csv"
  file.write_text("\n".join(lines) + "\n")
  return sets_manifest.read(str(file), invariance="noise", image_size=16)


def _means(images, training=False):
  del training
  return tf.reduce_mean(images, axis=[1, 2])


def _monitor(sets, tmp_path, **options):
  writer = tf.summary.create_file_writer(str(tmp_path / "events"))
  options = {"every": 2, "top_k": (2,), **options}
  return invariance.InvarianceMonitor(_means, sets, writer, **options)


def test_the_score_is_that_of_the_features(sets, tmp_path):
  images = np.stack(
    [
      np.asarray(Image.open(sets.images.path(i)), np.float64)
      for i in range(sets.images.num_images)
    ]
  )
  features = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  expected = score.representation_invariance_score(
    features.mean(axis=(1, 2)).astype(np.float32),
    sets.sets,
    sets.classes,
    top_k=(2,),
  ).scores[2]
  found = _monitor([sets], tmp_path).measure(4)
  assert found == {"invariance_noise_top2": pytest.approx(expected)}


def test_what_cannot_be_measured_is_named(sets, tmp_path):
  with pytest.raises(errors.UsageError, match="invariance_sets: noise cannot"):
    _monitor([sets], tmp_path, top_k=(9,)).measure(0)
  with pytest.raises(errors.UsageError, match="expected each of them once"):
    _monitor([sets, sets], tmp_path)


def test_a_collapse_does_not_end_the_run_that_is_watched(
  sets, tmp_path, monkeypatch
):
  scale = tf.Variable(0.0)
  writer = tf.summary.create_file_writer(str(tmp_path / "events"))
  monitor = invariance.InvarianceMonitor(
    lambda images, training: scale * _means(images),
    [sets],
    writer,
    every=2,
    top_k=(2,),
  )
  with pytest.raises(errors.UsageError, match="same value in all 36 images"):
    monitor.measure(0)
  said = []
  monkeypatch.setattr(
    logging, "warning", lambda text, *values: said.append(text % values)
  )
  assert monitor.measure(2) == {}
  assert "step 2: invariance_sets: noise cannot be measured: all 3" in said[0]
  scale.assign(1.0)
  assert 0 < monitor.measure(4)["invariance_noise_top2"] <= 100


def test_a_run_logs_them_every_so_many_steps(sets, tmp_path):
  run_settings = settings.Pretraining(
    images=sets.images.root,
    method=functools.partial(
      moco.build_moco,
      encoder=functools.partial(resnet.resnet18, width=1 / 16, stem="small"),
      queue_size=16,
    ),
    recipe=recipes.moco_v2(),
    image_size=16,
    batch_size=8,
    steps=6,
    learning_rate=0.03,
    log_every=6,
    monitor_every=0,
    invariance_sets=[lambda: sets],
    invariance_every=3,
  )
  result = pretrain.pretrain(
    run_settings,
    model_dir=str(tmp_path / "run"),
    operative_config=lambda: "",
    command="",
  )
  with open(f"{result.model_dir}/metrics.jsonl", encoding="utf-8") as file:
    records = [json.loads(line) for line in file]
  name = "invariance_noise_top10"
  assert [r["step"] for r in records if name in r] == [0, 3, 6]
  assert all(0 < r[name] <= 100 for r in records if name in r)
  events = event_accumulator.EventAccumulator(
    f"{result.model_dir}/tensorboard", size_guidance={"tensors": 0}
  ).Reload()
  points = events.Tensors("invariance/noise_top10")
  assert [point.step for point in points] == [0, 3, 6]


def test_half_of_the_settings_is_refused(sets):
  with pytest.raises(errors.UsageError, match="set both invariance_sets"):
    settings.Pretraining(
      images="a",
      method=moco.build_moco,
      recipe=recipes.moco_v2(),
      image_size=16,
      batch_size=8,
      steps=6,
      learning_rate=0.03,
      invariance_sets=[sets],
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
