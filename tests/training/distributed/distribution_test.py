"""Tests of tf_ssl.training.distributed.distribution."""

import subprocess
import sys

import pytest
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.training.distributed import distribution

SET_IN_A_FRESH_PROCESS = """
import tensorflow as tf
from tf_ssl.training.distributed import distribution
distribution.use_threads({})
tf.zeros([]) + 1.0
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize("asked", [0, 1])
def test_threads_of_an_operation_are_those_asked_for(asked, repository):
  done = subprocess.run(
    [sys.executable, "-c", SET_IN_A_FRESH_PROCESS.format(asked)],
    cwd=repository,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.split() == [str(asked)]


def test_threads_asked_for_too_late_are_a_warning(monkeypatch):
  warnings = []
  monkeypatch.setattr(logging, "warning", lambda *args: warnings.append(args))
  tf.zeros([]) + 1.0
  distribution.use_threads(0)
  assert not warnings
  distribution.use_threads(3)
  assert "threads_per_operation=%d is without effect" in warnings[0][0]


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
  with pytest.raises(errors.UsageError, match="'many': expected one of auto"):
    distribution.strategy("many")


def test_devices_must_be_divided_before_anything_is_computed():
  tf.zeros([]) + 1.0
  with pytest.raises(errors.UsageError, match="--logical_devices"):
    distribution.split_cpu(2)


def test_on_one_machine_what_a_worker_says_is_what_all_say():
  assert distribution.any_worker(True) and not distribution.any_worker(False)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
