"""A training process that is killed and resumed."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.training import metrics_log

pytestmark = pytest.mark.slow

STEPS = 24
CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.encoders import resnet
from tf_ssl.training import settings
from tf_ssl.training.monitors import projector
from tf_ssl.training.monitors import representation
include "gin_configs/pretrain/moco_v2_folder.gin"
IMAGE_SIZE = 16
BATCH_SIZE = 8
QUEUE_SIZE = 16
STEPS = 24
DETERMINISTIC = True
resnet.resnet18.width = 0.0625
resnet.resnet18.stem = "small"
settings.Pretraining.log_every = 3
representation.Representation.every = 8
projector.Projector.every = 8
settings.Pretraining.checkpoint_every_steps = 5
"""


class Run:
  """One `python -m tools.train`, waited for step by step."""

  def __init__(self, config, images, model_dir, repository):
    self.model_dir = pathlib.Path(model_dir)
    command = [sys.executable, "-m", "tools.train", f"--gin_file={config}"]
    command += [f"--gin_bindings=IMAGES={str(images)!r}"]
    command += [f"--model_dir={model_dir}"]
    self.process = subprocess.Popen(
      command,
      cwd=repository,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env={**os.environ, "PYTHONPATH": str(repository)},
    )

  def wait_for_step(self, step):
    """Until a record of at least this step is logged, or the end."""
    while self.process.poll() is None:
      records = metrics_log.read(self.model_dir / "metrics.jsonl")
      if records and records[-1]["step"] >= step:
        return
      time.sleep(0.02)

  def stop(self, number):
    self.process.send_signal(number)
    return self.end()

  def end(self):
    out, err = self.process.communicate(timeout=240)
    return self.process.returncode, out, err


def weights(model_dir):
  checkpoint = tf.train.latest_checkpoint(f"{model_dir}/checkpoints")
  assert checkpoint.endswith(f"step-{STEPS}")
  reader = tf.train.load_checkpoint(checkpoint)
  names = reader.get_variable_to_shape_map()
  return {name: reader.get_tensor(name) for name in names}


def differing(expected, actual):
  """Names of the tensors that are not the same bits."""
  return [
    name
    for name, value in expected.items()
    if not np.array_equal(actual[name], value)
  ]


@pytest.mark.timeout(900)
def test_a_run_killed_at_random_steps_ends_with_the_same_bits(
  tmp_path, repository
):
  rng = np.random.default_rng(0)
  images = tmp_path / "images"
  for i in range(24):
    image = rng.integers(0, 256, size=[20, 20, 3], dtype=np.uint8)
    tf.io.write_file(f"{images}/{i}.png", tf.io.encode_png(image))
  config = tmp_path / "config.gin"
  config.write_text(CONFIG)

  def start(name):
    return Run(config, images, tmp_path / name, repository)

  steady = start("steady")
  seed = random.randrange(2**32)
  print(f"kills drawn with seed {seed}")
  draw = random.Random(seed)
  for after, before in ((1, 8), (8, 15), (15, 23)):
    run = start("killed")
    run.wait_for_step(draw.randrange(after, before))
    time.sleep(draw.random() * 0.3)
    code, _, err = run.stop(signal.SIGKILL)
    assert code == -signal.SIGKILL, err
  code, out, err = start("killed").end()
  assert code == 0, err
  assert "Learned" in out
  code, out, err = steady.end()
  assert code == 0, err
  assert "Traceback" not in err
  expected, actual = weights(tmp_path / "steady"), weights(tmp_path / "killed")
  assert expected.keys() == actual.keys()
  for part in ("backbone", "key_backbone", "key_projection_head", "queue/keys"):
    assert any(name.startswith(part) for name in expected)
  assert any("queue/head" in name for name in expected)
  assert any("velocity" in n or "optimizer/_variables" in n for n in expected)
  changed = differing(expected, actual)
  assert [name for name in changed if "save_counter" not in name] == []
  for name in ("metrics.jsonl", "operative_config.gin"):
    left, right = (tmp_path / d / name for d in ("steady", "killed"))
    assert left.read_bytes() == right.read_bytes()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
