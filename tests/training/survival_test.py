"""A training process that is killed and resumed."""

import json
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

from tf_ssl.ops import numbered_checkpoints, workdir
from tf_ssl.training import metrics_log

pytestmark = pytest.mark.slow

STEPS = 24
CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.encoders import resnet
from tf_ssl.training import phases
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
settings.Pretraining.phases = [@early/phases.Phase()]
early/phases.Phase.until = 0.4
early/phases.Phase.image_size = 12
early/phases.Phase.batch_size = 16
"""
# The boxes of the windows are made by the encoder at every fifth of the run.
RENEWED_BOXES = """
include "gin_configs/base/crops_contrastive.gin"
"""


class Run:
  """One `python -m tools.train`, waited for step by step."""

  def __init__(self, config, images, model_dir, repository):
    self.model_dir = pathlib.Path(model_dir)
    command = [sys.executable, "-m", "tools.train", f"--gin_file={config}"]
    command += [f"--gin_bindings=IMAGES={str(images)!r}"]
    command += [f"--model_dir={model_dir}"]
    # A child of tests that nohup started would ignore SIGHUP.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    self.process = subprocess.Popen(
      command,
      cwd=repository,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env={**os.environ, "PYTHONPATH": str(repository)},
    )
    signal.signal(signal.SIGHUP, before)

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
    out, err = self.process.communicate(timeout=800)
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


class Runs:
  """Runs of one config on the same pictures; `steady` is never disturbed."""

  def __init__(self, folder, repository, config=CONFIG):
    self._folder = folder
    self._repository = repository
    rng = np.random.default_rng(0)
    for i in range(24):
      image = rng.integers(0, 256, size=[20, 20, 3], dtype=np.uint8)
      tf.io.write_file(f"{folder}/images/{i}.png", tf.io.encode_png(image))
    (folder / "config.gin").write_text(config)
    self.steady = folder / "steady"
    code, out, err = self.start(self.steady).end()
    assert code == 0 and "Learned" in out, err
    assert "Traceback" not in err

  def start(self, model_dir):
    folder = self._folder
    return Run(
      folder / "config.gin", folder / "images", model_dir, self._repository
    )

  def finish(self, model_dir):
    """Runs to the end, which must equal the steady run's in all bits."""
    code, out, err = self.start(model_dir).end()
    assert code == 0 and "Learned" in out, err
    expected, actual = weights(self.steady), weights(model_dir)
    assert expected.keys() == actual.keys()
    for part in (
      "backbone",
      "key_backbone",
      "key_projection_head",
      "queue/keys",
    ):
      assert any(name.startswith(part) for name in expected)
    assert any("queue/head" in name for name in expected)
    assert any("velocity" in n or "optimizer/_variables" in n for n in expected)
    changed = differing(expected, actual)
    assert [name for name in changed if "save_counter" not in name] == []
    for name in ("metrics.jsonl", "operative_config.gin"):
      left, right = (d / name for d in (self.steady, model_dir))
      assert left.read_bytes() == right.read_bytes()
    return err


@pytest.fixture(name="runs", scope="module")
def _runs(tmp_path_factory, repository):
  return Runs(tmp_path_factory.mktemp("runs"), repository)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("boxes", ["", RENEWED_BOXES], ids=["plain", "renewed"])
def test_a_run_killed_at_random_steps_ends_with_the_same_bits(
  boxes, request, tmp_path, repository
):
  if boxes:
    runs = Runs(tmp_path / "runs", repository, CONFIG + boxes)
  else:
    runs = request.getfixturevalue("runs")
  killed = tmp_path / "killed"
  seed = random.randrange(2**32)
  print(f"kills drawn with seed {seed}")
  draw = random.Random(seed)
  for after, before in ((1, 8), (8, 15), (15, 23)):
    run = runs.start(killed)
    run.wait_for_step(draw.randrange(after, before))
    time.sleep(draw.random() * 0.3)
    code, _, err = run.stop(signal.SIGKILL)
    assert code == -signal.SIGKILL, err
  runs.finish(killed)
  names = {path.name for path in killed.rglob("*")}
  assert not [n for n in names if n.endswith(".tmp") or "temp" in n]


@pytest.mark.timeout(3600)
def test_a_run_whose_terminal_closes_saves_and_resumes_with_the_same_bits(
  runs, tmp_path
):
  run = runs.start(tmp_path / "hangup")
  run.wait_for_step(6)
  code, out, err = run.stop(signal.SIGHUP)
  assert code == 0, err
  assert "SIGHUP" in out
  record = workdir.read_json(tmp_path / "hangup" / "run.json")
  newest = tf.train.latest_checkpoint(f"{tmp_path}/hangup/checkpoints")
  assert newest.endswith(f"step-{record['step']}") and record["step"] < STEPS
  runs.finish(tmp_path / "hangup")


@pytest.fixture(name="disk")
def _disk(tmp_path):
  """A folder on a disk of 3 MB, which holds some checkpoints."""
  folder = tmp_path / "disk"
  folder.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
  if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
    pytest.skip("needs the right to mount a small disk")
  yield folder
  subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.timeout(3600)
def test_a_full_disk_is_one_line_and_costs_no_saved_step(runs, disk):
  run = disk / "run"
  code, out, err = runs.start(run).end()
  assert (code, out) == (2, "")
  assert "Traceback" not in err
  last = err.splitlines()[-1]
  assert last.startswith(f"train: cannot write to {run}")
  newest = numbered_checkpoints.found(run / "checkpoints")[0]
  assert newest in last and "--model_dir" in last
  for line in (run / "metrics.jsonl").read_text().splitlines():
    json.loads(line)
  subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
  assert "damaged" not in runs.finish(run)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
