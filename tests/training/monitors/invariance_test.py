"""Tests of tf_ssl.training.monitors.invariance."""

import functools
import json
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from tests.encoders import shallow_reference
from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.datasets.invariance_sets import sets_manifest
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


def _monitor(sets, context, **options):
  monitor = invariance.Invariance(sets=sets, **{"top_k": (2,), **options})
  monitor.find_data()
  monitor.start(context)
  return monitor


def test_the_score_is_that_of_the_features(sets, make_context):
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
  context = make_context(encoder=_means)
  found = _monitor([lambda: sets], context).measure(4)
  assert found == {"invariance_noise_top2": pytest.approx(expected)}


def test_sets_that_cannot_be_measured_are_named(sets, make_context):
  context = make_context(encoder=_means)
  with pytest.raises(errors.UsageError, match="noise.*9"):
    _monitor([sets], context, top_k=(9,)).measure(0)
  with pytest.raises(errors.UsageError, match="noise.*`sets`"):
    _monitor([sets, sets], context)


def test_a_collapsed_encoder_does_not_end_the_run(
  sets, make_context, monkeypatch
):
  scale = tf.Variable(0.0)
  encoder = lambda images, training: scale * _means(images)  # noqa: E731
  monitor = _monitor([sets], make_context(encoder=encoder))
  with pytest.raises(errors.UsageError, match="all 36 images"):
    monitor.measure(0)
  said = []
  monkeypatch.setattr(
    logging, "warning", lambda text, *values: said.append(text % values)
  )
  assert monitor.measure(2) == {}
  assert said[0].startswith("step 2: ") and "noise" in said[0]
  scale.assign(1.0)
  assert 0 < monitor.measure(4)["invariance_noise_top2"] <= 100


def test_a_run_logs_scores_every_few_steps(sets, tmp_path):
  run_settings = settings.Pretraining(
    images=sets.images.root,
    method=functools.partial(
      moco.build_moco,
      encoder=shallow_reference.resnet10,
      queue_size=16,
    ),
    recipe=recipes.moco_v2(),
    image_size=16,
    batch_size=8,
    steps=6,
    learning_rate=0.03,
    log_every=6,
    monitors=(),
    more_monitors=[invariance.Invariance(sets=[lambda: sets], every=3)],
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
