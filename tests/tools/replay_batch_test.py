"""A run's folder is enough to replay the batch that stopped it."""

import sys

import gin
import numpy as np
import pytest
import tensorflow as tf

from tests.tools import run_reference
from tf_ssl import errors
from tools import replay_batch


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()


@pytest.fixture(name="run")
def fixture_run(tmp_path):
  """A run that stopped in step 4, and its method."""
  method = run_reference.write(tmp_path)
  folder = tmp_path / "non_finite"
  folder.mkdir()
  rng = np.random.default_rng(0)
  views = {
    name: np.float32(rng.normal(size=[2, 8, 8, 3])) for name in ("query", "key")
  }
  views["query"][1, 0, 0, 0] = np.inf
  np.savez(folder / "batch_3.npz", step=3, **views)
  tf.train.Checkpoint(**method.checkpoint_roots).write(
    str(folder / "checkpoint")
  )
  return tmp_path, method


def _replay(model_dir, capsys):
  replay_batch.TOOL.call([f"--model_dir={model_dir}"])
  return capsys.readouterr().out.splitlines()


def test_tensors_that_are_not_finite_are_told_from_the_others(run, capsys):
  model_dir, method = run
  lines = _replay(model_dir, capsys)
  told = dict(line.split(": ", 1) for line in lines if ": " in line)
  assert "replaying batch_3.npz" in lines
  assert told["view query"].startswith("NOT FINITE in 1 of 384")
  assert told["view key"].startswith("finite")
  assert "NOT FINITE" in told["loss"]
  # The weights are those before the step.
  kernel = method.encoder.stem_conv.kernel
  largest = f"largest {np.abs(kernel.numpy()).max():.3g}"
  assert told[f"weight {kernel.name}"] == f"finite, {largest}"


def test_a_run_whose_losses_were_finite_is_refused(tmp_path):
  with pytest.raises(errors.UsageError, match=f"--model_dir={tmp_path} "):
    replay_batch.TOOL.call([f"--model_dir={tmp_path}"])


def test_a_folder_without_its_config_is_named(run):
  model_dir, _ = run
  (model_dir / "operative_config.gin").unlink()
  with pytest.raises(errors.UsageError, match="operative_config.gin"):
    replay_batch.TOOL.call([f"--model_dir={model_dir}"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
