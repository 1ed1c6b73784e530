"""benchmarks.data_wait: short trainings of tiny networks."""

import functools
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import data_wait
from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.augment import recipes
from tf_ssl.methods import simclr
from tf_ssl.ops import jpeg
from tf_ssl.training import data, settings


def tiny(folder):
  rng = np.random.default_rng(0)
  for i in range(12):
    image = rng.integers(0, 256, [16, 16, 3], dtype=np.uint8)
    (folder / f"{i}.jpg").write_bytes(jpeg.encode(image))
  return settings.Pretraining(
    images=str(folder),
    method=functools.partial(
      simclr.build_simclr,
      encoder=shallow_reference.resnet10,
    ),
    recipe=recipes.simclr(),
    image_size=8,
    batch_size=4,
    steps=1000,
    learning_rate=0.1,
    precision="float32",
  )


def test_it_sees_an_input_pipeline_that_is_too_slow(tmp_path, monkeypatch):
  run = tiny(tmp_path)
  quick = data_wait.measure(run, first=3, steps=5)
  assert quick.images_per_second > 0
  from_step = data.RunBatches.from_step

  def slow(*arguments):
    def wait(views):
      with tf.control_dependencies(
        [tf.numpy_function(lambda: time.sleep(0.5) or 0, [], tf.int64)]
      ):
        return batches.ImagePair(*map(tf.identity, views))

    return from_step(*arguments).map(wait)

  monkeypatch.setattr(data.RunBatches, "from_step", slow)
  waited = data_wait.measure(run, first=3, steps=5)
  assert waited.fraction > max(0.5, quick.fraction)
  assert waited.images_per_second < 4 / 0.4


@pytest.mark.parametrize("config", data_wait.CONFIGS)
def test_every_config_of_minutes_can_be_read(config, tmp_path):
  images = data_wait.CONFIGS[config] and tmp_path
  with data_wait.configured(config, images, []) as found:
    assert found.threads_per_operation == 1


def test_a_row_above_the_limit_says_so():
  below = data_wait.row("a", "float32", data_wait.Waited(100.0, 0.049))
  above = data_wait.row("a", "float32", data_wait.Waited(100.0, 0.051))
  assert "above" in above and "5.1%" in above and "above" not in below


def test_missing_data_are_named_and_the_rest_is_measured(tmp_path, capsys):
  arguments = [f"--data={tmp_path}", "--config=pretrain/npid_cifar10"]
  assert data_wait.main(arguments) == 0
  out = capsys.readouterr().out
  assert f"npid_cifar10 ({tmp_path}/cifar10/train is missing)" in out
  with pytest.raises(errors.UsageError, match="--steps=0"):
    data_wait.main([*arguments, "--steps=0"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
