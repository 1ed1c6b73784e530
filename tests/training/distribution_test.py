"""Tests of tf_ssl.training.distribution."""

import subprocess
import sys

import pytest
import tensorflow as tf
from absl import logging

from tf_ssl.training import distribution

SET_IN_A_FRESH_PROCESS = """
import tensorflow as tf
from tf_ssl.training import distribution
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
