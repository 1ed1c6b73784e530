"""Methods on several replicas equal those on one."""

import functools
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ADDONS = "tensorflow_addons"
METHODS = (
  "moco",
  "warm_moco",
  "moco_with_batch_negatives",
  "multi_crop_moco",
  "pirl",
  "simclr",
  "multi_crop_simclr",
  "multi_crop_pirl",
  "emp_ssl",
  "supervised_contrastive",
  "hybrid",
  # Its default loss is one of tensorflow-addons.
  *(["supervised_metric"] if importlib.util.find_spec(ADDONS) else []),
)


@pytest.fixture(name="train", scope="session")
def _train(repository, tmp_path_factory):
  """What ten steps of a method on so many logical CPUs left."""
  folder = tmp_path_factory.mktemp("replicas")

  @functools.cache
  def run(replicas):
    command = [sys.executable, "-m", "tests.methods.replicas"]
    command += [f"--replicas={replicas}", f"--output={folder}"]
    command += ["--methods", *METHODS]
    if replicas == 4:
      command.append("--leak")
    done = subprocess.run(
      command, cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

  def load(name, replicas):
    run(replicas)
    with np.load(folder / f"{name}.npz") as saved:
      return dict(saved)

  return load


@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_on_replicas_equal_ten_steps_on_one_device(
  train, method, replicas
):
  one = train(f"{method}1", 1)
  many = train(f"{method}{replicas}", replicas)
  assert set(one) == set(many)
  assert not np.allclose(one["steps"][0], one["steps"][-1])
  for name, expected in one.items():
    found = many[name]
    if name in ("queue", "bank"):
      assert len(found) == replicas and len(expected) == 1
      np.testing.assert_array_equal(found, found[:1].repeat(replicas, 0))
      found, expected = found[0], expected[0]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


def test_shuffling_stops_the_leak_of_a_replicas_batch_norm(train):
  auc = train("leak", 4)
  assert auc["not_shuffled"] > 0.8
  assert abs(auc["shuffled"] - 0.5) < 0.05


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
