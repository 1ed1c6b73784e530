"""Tests of tf_ssl.training.distributed.distribution."""

import subprocess
import sys

import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.training.distributed import distribution

FIND_IN_A_FRESH_PROCESS = """
from tf_ssl.training.distributed import distribution
distribution.split_cpu({})
with distribution.strategy("auto").scope() as _:
  import tensorflow as tf
  now = tf.distribute.get_strategy()
  print(type(now).__name__, now.num_replicas_in_sync)
  distribution.check_batch(12)
  try:
    distribution.check_batch(13)
  except ValueError as error:
    print(error)
"""


def found_in_a_fresh_process(devices, repository):
  done = subprocess.run(
    [sys.executable, "-c", FIND_IN_A_FRESH_PROCESS.format(devices)],
    cwd=repository,
    capture_output=True,
    text=True,
    check=True,
  )
  return done.stdout.splitlines()


def test_one_device_needs_no_strategy(repository):
  assert found_in_a_fresh_process(1, repository) == [
    "_DefaultDistributionStrategy 1"
  ]


def test_several_devices_mirror_and_must_share_a_batch_equally(repository):
  kind, refused = found_in_a_fresh_process(3, repository)
  assert kind == "MirroredStrategy 3"
  assert "BATCH_SIZE=13 cannot be divided among 3 replicas" in refused
  assert "a multiple of 3, such as 15" in refused


def test_an_unknown_strategy_is_refused():
  with pytest.raises(errors.UsageError, match="'many'.*strategy"):
    distribution.strategy("many")


def test_devices_must_be_split_before_anything_is_computed():
  tf.zeros([]) + 1.0
  with pytest.raises(errors.UsageError, match="--logical_devices"):
    distribution.split_cpu(2)


def test_with_one_worker_its_flag_decides():
  assert distribution.any_worker(True) and not distribution.any_worker(False)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
