"""Methods on several replicas against the same on one."""

import subprocess
import sys

import numpy as np
import pytest

METHODS = ("moco", "pirl", "simclr", "supervised_contrastive", "hybrid")


@pytest.fixture(name="train", scope="session")
def _train(repository, tmp_path_factory):
  folder = tmp_path_factory.mktemp("replicas")
  known = {}

  def train(method, replicas):
    """What ten steps on so many logical CPUs left."""
    if (method, replicas) not in known:
      output = folder / f"{method}{replicas}.npz"
      command = [sys.executable, "-m", "tests.methods.replicas"]
      command += [f"--method={method}", f"--replicas={replicas}"]
      done = subprocess.run(
        [*command, f"--output={output}"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
      )
      assert done.returncode == 0, done.stderr
      with np.load(output) as saved:
        known[method, replicas] = dict(saved)
    return known[method, replicas]

  return train


@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_on_replicas_equal_ten_steps_on_one_device(
  train, method, replicas
):
  one, many = train(method, 1), train(method, replicas)
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
  assert train("unshuffled_leak", 4)["auc"] > 0.8
  assert abs(train("leak", 4)["auc"] - 0.5) < 0.05


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
