"""Tests of tf_ssl.ops.threads."""

import ast
import os
import subprocess
import sys
import threading

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


_CORES = "import os; print(sorted(os.sched_getaffinity(0)))"


def _cores_of_children(jobs):
  """Cores that a child process of each thread of the pool may use."""
  together = threading.Barrier(jobs)

  def child():
    together.wait(20)  # One call a thread.
    return ast.literal_eval(
      subprocess.check_output([sys.executable, "-c", _CORES], text=True)
    )

  with threads.pool(jobs) as pool:
    return [each.result() for each in [pool.submit(child) for _ in range(jobs)]]


@pytest.mark.skipif(
  not hasattr(os, "sched_getaffinity") or threads.num_cores() < 2,
  reason="needs Linux and two cores",
)
def test_jobs_and_their_children_share_the_cores():
  mine = sorted(os.sched_getaffinity(0))
  first, second = _cores_of_children(2)
  assert sorted(first + second) == mine
  assert abs(len(first) - len(second)) <= 1
  assert _cores_of_children(1) == [mine]
  more = len(mine) + 1
  assert _cores_of_children(more) == [mine] * more
  assert sorted(os.sched_getaffinity(0)) == mine


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
