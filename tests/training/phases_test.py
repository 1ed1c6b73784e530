"""Tests of tf_ssl.training.phases."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import jigsaw, multi_crop, recipes
from tf_ssl.input_pipeline import order
from tf_ssl.ops import optimizers
from tf_ssl.training import metrics_log, phases
from tf_ssl.training.phases import Phase


def timeline(*early, steps=100, recipe=None):
  return phases.Timeline(
    early,
    steps=steps,
    image_size=32,
    batch_size=64,
    recipe=recipe or recipes.moco_v2(min_area=0.2),
  )


def test_a_run_without_phases_is_one_part_with_the_settings_of_the_run():
  recipe = recipes.moco_v2()
  found = timeline(recipe=recipe)
  assert found.parts == (phases.Part(0, 100, 32, 64, recipe, ()),)
  assert found.parts[0].recipe is recipe
  assert found.examples(7) == 7 * 64
  assert found.log_values(7) == {}


def test_phases_divide_the_steps_and_the_rest_of_the_run_has_its_settings():
  found = timeline(
    Phase(until=0.25, image_size=16, batch_size=128),
    Phase(until=0.5, min_area=0.4),
  )
  small, large, last = found.parts
  assert [small.start, large.start, last.start] == [0, 25, 50]
  assert [small.stop, large.stop, last.stop] == [25, 50, 100]
  assert small[2:4] == (16, 128) and small.recipe.crop.area == (0.2, 1.0)
  assert large[2:4] == (32, 64) and large.recipe.crop.area == (0.4, 1.0)
  assert last[2:4] == (32, 64) and last.recipe.crop.area == (0.2, 1.0)
  assert [found.at(s) for s in (0, 24, 25, 99, 100)] == [
    small,
    small,
    large,
    last,
    last,
  ]


def test_examples_and_pixels_add_up_over_the_phases():
  found = timeline(Phase(until=0.25, image_size=16, batch_size=128))
  assert [found.examples(s) for s in (0, 10, 25, 26, 100, 120)] == [
    0,
    1280,
    3200,
    3264,
    8000,
    8000,
  ]
  assert found.pixels(26) == 3200 * 16**2 + 64 * 32**2


def test_only_a_change_of_the_batch_size_ends_a_span():
  found = timeline(
    Phase(until=0.1, image_size=16),
    Phase(until=0.3, batch_size=32),
    Phase(until=0.4, batch_size=32, image_size=24),
    Phase(until=0.6, image_size=24),
  )
  first, second = order.Span(10, 64), order.Span(30, 32)
  assert [part.earlier for part in found.parts] == [
    (),
    (first,),
    (first,),
    (first, second),
    (first, second),
  ]


def test_the_log_names_what_changes_at_the_last_step():
  sizes = timeline(Phase(until=0.5, image_size=16))
  assert sizes.log_values(50) == {"image_size": 16}
  assert sizes.log_values(51) == {"image_size": 32}
  both = timeline(Phase(until=0.5, image_size=16, batch_size=96))
  assert both.log_values(0) == {"image_size": 16, "batch_size": 96}


def test_a_phase_shorter_than_a_step_is_left_out():
  found = timeline(Phase(until=0.1, image_size=16), steps=3)
  assert [part.image_size for part in found.parts] == [32]


def test_views_of_a_size_of_their_own_keep_their_crops():
  whole, region = recipes.moco_v2(), recipes.moco_v2(size=24)
  patches = jigsaw.pirl_patches(patch=recipes.pirl())
  crops = multi_crop.crops(recipe=recipes.moco_v2(), size=None)
  found = timeline(
    Phase(until=0.5, image_size=16, min_area=0.6),
    recipe=(whole, region, patches, crops),
  ).parts[0]
  assert found.recipe[0].crop.area == (0.6, 1.0)
  assert found.recipe[1] is region and found.recipe[2] is patches
  assert found.recipe[3] is crops
  sizes = [recipe.crop_size(found.image_size) for recipe in found.recipe]
  assert sizes == [16, 24, 3 * 85, 16]


def test_the_learning_rate_follows_the_batch_size_of_each_step():
  base = optimizers.LearningRate(0.1, 100, kind="cosine")
  found = timeline(
    Phase(until=0.25, batch_size=128), Phase(until=0.5, batch_size=32)
  ).schedule(base)
  factors = {0: 2.0, 24: 2.0, 25: 0.5, 49: 0.5, 50: 1.0, 99: 1.0}
  for step, factor in factors.items():
    rate = found(tf.constant(step, tf.int64))
    assert float(rate) == pytest.approx(factor * float(base(step)))
  again = phases.ScaledLearningRate(**found.get_config())
  assert float(again(3)) == float(found(3))
  assert timeline(Phase(until=0.5, image_size=16)).schedule(base) is base


@pytest.mark.parametrize(
  "change, message",
  [
    ({"until": 1.0}, r"until=1\.0.*below 1"),
    ({"until": True}, "until=True"),
    ({"image_size": 1}, "image_size=1.*at least 2"),
    ({"image_size": 16.0}, r"image_size=16\.0.*whole"),
    ({"batch_size": 0}, "batch_size=0.*at least 1"),
    ({"min_area": 0.0}, r"min_area=0\.0.*above 0"),
  ],
)
def test_values_out_of_range_are_refused(change, message):
  with pytest.raises(errors.UsageError, match=message):
    Phase(**{"until": 0.5, **change})


def test_phases_out_of_order_and_other_objects_are_refused():
  with pytest.raises(errors.UsageError, match=r"0\.5, 0\.25.*increasing"):
    timeline(Phase(until=0.5), Phase(until=0.25))
  with pytest.raises(errors.UsageError, match="not a Phase.*brackets"):
    timeline(Phase)
  with pytest.raises(errors.UsageError, match=r"min_area=0\.9.*at most 0\.5"):
    crop = recipes.moco_v2().crop._replace(area=(0.1, 0.5))
    recipe = recipes.moco_v2()._replace(crop=crop)
    timeline(Phase(until=0.5, min_area=0.9), recipe=recipe)


class _Shapes(tf.keras.Model):
  """Counts the traces of its train step, and keeps the shape of each."""

  def __init__(self):
    super().__init__()
    self.traced = []

  def train_step(self, data):
    self.traced.append(tuple(data.shape))
    self.optimizer.iterations.assign_add(1)
    return {"total": tf.reduce_sum(data)}


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_a_part_is_traced_once_for_its_shape_and_none_is_trained_twice(
  steps_per_execution,
):
  found = timeline(
    Phase(until=0.25, image_size=16),
    Phase(until=0.5, image_size=16, min_area=0.5),
    Phase(until=0.75, batch_size=8),
    steps=40,
  )
  started = []

  def from_step(step, share):
    assert tuple(share) == (0, 1)
    started.append(step)
    part = found.at(step)
    shape = [part.batch_size, part.image_size]
    return tf.data.Dataset.from_tensors(tf.ones(shape)).repeat(part.stop - step)

  model = _Shapes()
  model.compile(
    optimizers.MomentumSgd(0.1), steps_per_execution=steps_per_execution
  )
  phases.fit(model, found, from_step, callbacks=[])
  assert started == [0, 10, 20, 30]
  assert int(model.optimizer.iterations) == 40
  shapes = [(64, 16), (8, 32), (64, 32)]
  # Several steps per execution are a loop after a first step.
  each = 1 if steps_per_execution == 1 else 2
  assert model.traced == [shape for shape in shapes for _ in range(each)]
  started.clear()
  phases.fit(model, found, from_step, start=15, callbacks=[])
  assert started == [15, 20, 30]


def test_no_further_part_begins_once_a_callback_has_stopped_the_training():
  found = timeline(Phase(until=0.5, image_size=16), steps=4)

  class Stop(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
      self.model.stop_training = batch == 1

  model = _Shapes()
  model.compile(optimizers.MomentumSgd(0.1))
  phases.fit(
    model,
    found,
    lambda step, share: tf.data.Dataset.from_tensors(tf.ones([2, 2])).repeat(2),
    callbacks=[Stop()],
  )
  assert int(model.optimizer.iterations) == 2


# Trains on the images of argv[2], on argv[1] logical CPUs that each normalize
# their share of 4 groups, and prints the metrics.
_TRAIN = """
import functools, sys
from tf_ssl.training.distributed import distribution
replicas = int(sys.argv[1])
distribution.split_cpu(replicas)
from tf_ssl.augment import recipes
from tests.encoders import shallow_reference
from tf_ssl.encoders import batch_norm
from tf_ssl.methods import moco
from tf_ssl.training import phases, pretrain, settings
norm = functools.partial(batch_norm.split, groups=4 // replicas)
encoder = functools.partial(shallow_reference.resnet10, batch_norm=norm)
early = phases.Phase(until=0.5, image_size=8, batch_size=16, min_area=0.5)
pretrain.pretrain(
  settings.Pretraining(
    images=sys.argv[2],
    method=functools.partial(moco.build_moco, encoder=encoder, queue_size=16),
    recipe=recipes.moco_v2(),
    image_size=12,
    batch_size=8,
    steps=4,
    phases=[early],
    learning_rate=0.01,
    scale_learning_rate=True,
    monitors=(),
    precision="float32",
    finish_views_in_step=True,
    log_every=1,
  ),
  model_dir=sys.argv[3],
)
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_replicas_train_the_phases_as_one_does(tmp_path, repository):
  rng = np.random.default_rng(0)
  for i in range(24):
    image = rng.integers(0, 256, size=[20, 24, 3], dtype=np.uint8)
    tf.io.write_file(f"{tmp_path}/images/{i}.png", tf.io.encode_png(image))
  logs = []
  for replicas in ("1", "2"):
    model_dir = tmp_path / replicas
    subprocess.run(
      [sys.executable, "-c", _TRAIN, replicas, tmp_path / "images", model_dir],
      check=True,
      env={**os.environ, "PYTHONPATH": str(repository)},
    )
    logs.append(metrics_log.read(model_dir / "metrics.jsonl")[1:])
  assert [r["image_size"] for r in logs[0]] == [8, 8, 12, 12]
  assert [r["batch_size"] for r in logs[0]] == [16, 16, 8, 8]
  for name in ("loss", "gradient_norm", "learning_rate"):
    one, two = ([record[name] for record in log] for log in logs)
    np.testing.assert_allclose(one, two, rtol=1e-4, err_msg=name)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
