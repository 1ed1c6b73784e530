"""Tests of tf_ssl.ops.threads."""

import subprocess
import sys

import pytest
import tensorflow as tf
from absl import logging

from tf_ssl.ops import threads

SET_IN_A_FRESH_PROCESS = """
import tensorflow as tf
from tf_ssl.ops import threads
threads.use_for_tensorflow({})
tf.zeros([]) + 1.0
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize("number", [0, 1])
def test_the_number_of_threads_is_set(number, repository):
  done = subprocess.run(
    [sys.executable, "-c", SET_IN_A_FRESH_PROCESS.format(number)],
    cwd=repository,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.split() == [str(number)]


def test_setting_threads_too_late_is_a_warning(monkeypatch):
  warnings = []
  monkeypatch.setattr(logging, "warning", lambda *args: warnings.append(args))
  tf.zeros([]) + 1.0
  threads.use_for_tensorflow(0)
  assert not warnings
  threads.use_for_tensorflow(3)
  assert "threads_per_operation" in warnings[0][0] and warnings[0][1] == 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
