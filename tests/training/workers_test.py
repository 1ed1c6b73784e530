"""A training run of several processes, one of which is killed."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.training import metrics_log

pytestmark = pytest.mark.slow

STEPS = 12
CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.encoders import batch_norm
from tf_ssl.encoders import resnet
from tf_ssl.training import phases
from tf_ssl.training import settings
include "gin_configs/pretrain/moco_v2_folder.gin"
include "gin_configs/base/crops_contrastive.gin"
BOX_RENEWALS = 2  # Before the kill, and after it.
IMAGE_SIZE = 16
BATCH_SIZE = 12
QUEUE_SIZE = 24
STEPS = 12
DETERMINISTIC = True
batch_norm.split.groups = 2
resnet.resnet18.width = 0.0625
resnet.resnet18.stem = "small"
settings.Pretraining.log_every = 1
settings.Pretraining.monitors = ()
settings.Pretraining.checkpoint_every_steps = 4
settings.Pretraining.phases = [@early/phases.Phase()]
early/phases.Phase.until = 0.4  # Between the checkpoint and the kill.
early/phases.Phase.image_size = 12
early/phases.Phase.batch_size = 24
"""


@pytest.fixture(name="start")
def _start(tmp_path, repository):
  rng = np.random.default_rng(0)
  for i in range(36):
    image = rng.integers(0, 256, size=[20, 20, 3], dtype=np.uint8)
    tf.io.write_file(f"{tmp_path}/images/{i}.png", tf.io.encode_png(image))
  config = tmp_path / "config.gin"
  config.write_text(CONFIG)

  def start(name, workers):
    command = [sys.executable, "-m", "tools.launch", f"--workers={workers}"]
    command += ["--", f"--gin_file={config}"]
    command += [f"--gin_bindings=IMAGES='{tmp_path}/images'"]
    command += [f"--model_dir={tmp_path / name}"]
    return subprocess.Popen(
      command,
      cwd=repository,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      env={**os.environ, "PYTHONPATH": str(repository)},
    )

  return start


def finish(launched):
  out, _ = launched.communicate(timeout=600)
  assert launched.returncode == 0, out
  assert "Learned" in out
  return out


def learned(model_dir):
  """Every tensor of the last checkpoint."""
  checkpoint = tf.train.latest_checkpoint(f"{model_dir}/checkpoints")
  assert checkpoint.endswith(f"step-{STEPS}")
  reader = tf.train.load_checkpoint(checkpoint)
  names = reader.get_variable_to_shape_map()
  return {
    name: reader.get_tensor(name)
    for name in names
    if "save_counter" not in name
  }


def workers_of(launched):
  """Process ids of the workers, the chief first."""
  children = pathlib.Path(f"/proc/{launched.pid}/task/{launched.pid}/children")
  return [
    int(pid)
    for pid in children.read_text().split()
    if b"TF_CONFIG" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
  ]


@pytest.mark.timeout(1500)
def test_a_run_with_a_killed_worker_ends_with_the_same_bits(start, tmp_path):
  workers = 3
  finish(start("steady", workers))
  disturbed = start("killed", workers)
  metrics = tmp_path / "killed" / "metrics.jsonl"
  while disturbed.poll() is None:
    records = metrics_log.read(metrics) if metrics.exists() else []
    if records and records[-1]["step"] >= 5:
      break
    time.sleep(0.05)
  os.kill(workers_of(disturbed)[-1], signal.SIGKILL)
  out = finish(disturbed)
  assert re.search(f"SIGKILL.* all {workers} workers", out)
  expected = learned(tmp_path / "steady")
  actual = learned(tmp_path / "killed")
  assert expected.keys() == actual.keys()
  assert any("boxes" in name for name in expected)
  changed = [
    name
    for name, value in expected.items()
    if not np.array_equal(actual[name], value)
  ]
  assert not changed
  steady = metrics_log.read(tmp_path / "steady" / "metrics.jsonl")
  assert metrics_log.read(metrics) == steady
  for part in ("saved_model", "operative_config.gin", "workers/1/run.json"):
    assert (tmp_path / "killed" / part).exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
