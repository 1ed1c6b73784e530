"""The same numbers from TensorFlow 2.15 and 2.20.

Needs the Python of the other set of packages (docs/stacks.md): its path in
TF_SSL_OTHER_PYTHON.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

STEPS = 10
RESUMED = 6  # The first step after the checkpoint.
TOLERANCE = 1e-5
CONFIG = f"""
from __gin__ import dynamic_registration
from tf_ssl.encoders import resnet
from tf_ssl.training import settings
include "gin_configs/pretrain/moco_v2_folder.gin"
IMAGE_SIZE = 32
BATCH_SIZE = 16
QUEUE_SIZE = 16
STEPS = {STEPS}
DETERMINISTIC = True
resnet.resnet18.width = 0.25
resnet.resnet18.stem = "small"
settings.Pretraining.precision = "float32"  # bfloat16 rounds by 1e-2.
settings.Pretraining.log_every = 1
settings.Pretraining.checkpoint_every_steps = 5
"""


@pytest.fixture(name="pythons", scope="module")
def fixture_pythons():
  """This Python and the other one, by the names of their runs."""
  other = os.environ.get("TF_SSL_OTHER_PYTHON")
  if not other:
    pytest.skip("needs the path of another Python in TF_SSL_OTHER_PYTHON")
  return {"here": sys.executable, "there": other}


def call(python, *arguments, cwd):
  done = subprocess.run(
    [python, "-m", *map(str, arguments)],
    cwd=cwd,
    env={
      name: value
      for name, value in os.environ.items()
      if name not in ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    },
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return done


@pytest.fixture(name="folder", scope="module")
def fixture_folder(pythons, repository, tmp_path_factory):
  """A folder with the run of each Python, `here` and `there`."""
  folder = tmp_path_factory.mktemp("stacks")
  (folder / "images").mkdir()
  rng = np.random.default_rng(0)
  for number in range(32):
    colors = rng.integers(0, 256, size=[4, 5, 3]).astype(np.uint8)
    image = Image.fromarray(colors).resize((40, 32), Image.Resampling.BICUBIC)
    image.save(folder / f"images/{number}.png")
  (folder / "run.gin").write_text(CONFIG)
  for name, python in pythons.items():
    train(python, folder, name, repository)
  return folder


def train(python, folder, name, repository):
  return call(
    python,
    "tools.train",
    f"--gin_file={folder}/run.gin",
    f"--gin_bindings=IMAGES='{folder}/images'",
    f"--model_dir={folder / name}",
    cwd=repository,
  )


def metrics(folder, name):
  lines = (folder / name / "metrics.jsonl").read_text().splitlines()
  return {record["step"]: record for record in map(json.loads, lines)}


def test_the_two_pythons_have_different_versions_of_tensorflow(folder):
  versions = {
    json.loads((folder / name / "run.json").read_text())["versions"][
      "tensorflow"
    ]
    for name in ("here", "there")
  }
  assert len(versions) == 2


def test_ten_steps_of_each_method_leave_the_same_variables(
  pythons, repository, tmp_path
):
  for name, python in pythons.items():
    (tmp_path / name).mkdir()
    call(
      python,
      "tests.methods.replicas",
      "--replicas=1",
      f"--output={tmp_path / name}",
      "--methods",
      *("moco", "pirl", "simclr"),
      cwd=repository,
    )
  for method in ("moco", "pirl", "simclr"):
    here, there = (
      dict(np.load(tmp_path / name / f"{method}1.npz")) for name in pythons
    )
    assert here.keys() == there.keys()
    assert not np.allclose(here["steps"][0], here["steps"][-1])
    for key, values in here.items():
      np.testing.assert_allclose(
        there[key], values, rtol=TOLERANCE, atol=TOLERANCE, err_msg=key
      )


def test_a_run_sees_the_same_views_and_losses(folder):
  here, there = metrics(folder, "here"), metrics(folder, "there")
  assert here.keys() == there.keys() == {*range(STEPS + 1)}
  # Later a rounding error has flipped units of so small a network.
  for step in (1, 2, 3):
    np.testing.assert_allclose(
      here[step]["loss"], there[step]["loss"], rtol=TOLERANCE
    )


def test_each_reads_the_models_and_checkpoints_of_both(
  folder, pythons, repository
):
  found = {}
  for name, python in pythons.items():
    output = folder / f"{name}.npz"
    call(
      python,
      "tests.stacks_program",
      f"--output={output}",
      *(folder / run for run in pythons),
      cwd=repository,
    )
    found[name] = dict(np.load(output))
  assert found["here"].keys() == found["there"].keys()
  for key, values in found["here"].items():
    if key.startswith("scores"):
      assert values.min() > 10 and values.max() < 100
      np.testing.assert_array_equal(found["there"][key], values)
    else:
      assert values.std() > 0.01
      np.testing.assert_allclose(
        found["there"][key], values, rtol=0, atol=TOLERANCE, err_msg=key
      )
  for values in found.values():
    for run in pythons:
      np.testing.assert_allclose(
        values[f"run {run}"], values[f"model {run}"], rtol=0, atol=TOLERANCE
      )


@pytest.mark.parametrize(
  ("first", "then"), [("here", "there"), ("there", "here")]
)
def test_a_run_goes_on_with_the_other(folder, pythons, repository, first, then):
  name = f"{first}_then_{then}"
  shutil.copytree(folder / first, folder / name)
  # As if the process had died after step 5.
  shutil.rmtree(folder / name / "saved_model")
  checkpoints = folder / name / "checkpoints"
  for path in checkpoints.glob(f"step-{STEPS}.*"):
    path.unlink()
  train(pythons[then], folder, name, repository)
  found, expected = metrics(folder, name), metrics(folder, first)
  assert found.keys() == expected.keys()
  np.testing.assert_allclose(
    found[RESUMED]["loss"], expected[RESUMED]["loss"], rtol=TOLERANCE
  )
  assert (folder / name / "saved_model/saved_model.pb").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
