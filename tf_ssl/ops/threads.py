"""Number of cores, and thread counts of the libraries."""

import contextlib
import os
from collections.abc import Collection

import cv2
import threadpoolctl
from absl import logging


def num_cores() -> int:
  """Returns the number of cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def shares_of_cores(jobs: int) -> list[set[int]]:
  """Splits the cores that this process may use among jobs that run at once.

  Args:
    jobs: number of jobs, at most the number of cores.

  Returns:
    Numbers of the cores of each job; empty sets where the system has no such
    numbers.
  """
  if not hasattr(os, "sched_getaffinity"):
    return [set() for _ in range(jobs)]
  cores = sorted(os.sched_getaffinity(0))
  return [set(cores[job::jobs]) for job in range(jobs)]


def keep_to(cores: Collection[int]) -> None:
  """Keeps the calling thread, and processes that it starts, to some cores.

  Args:
    cores: numbers of the cores; empty for no change.
  """
  if cores:
    os.sched_setaffinity(0, cores)


def use_one_for_opencv() -> None:
  """Makes OpenCV single-threaded, for one of several worker processes."""
  cv2.setNumThreads(1)


def one_for_blas() -> contextlib.AbstractContextManager:
  """Makes NumPy's and SciPy's linear algebra single-threaded in a `with`.

  The threads of OpenBLAS wait actively for each other: many small operations
  take many times as long on cores that are busy with something else.
  """
  return threadpoolctl.threadpool_limits(1, user_api="blas")


def use_for_tensorflow(per_operation: int) -> None:
  """Sets the number of threads that share one operation of TensorFlow.

  TensorFlow takes the number only before its first computation; after it, a
  warning says that the number has no effect.

  Args:
    per_operation: number of threads; 0 for TensorFlow's choice.
  """
  import tensorflow as tf

  now = tf.config.threading.get_intra_op_parallelism_threads()
  if per_operation in (0, now):
    return
  try:
    tf.config.threading.set_intra_op_parallelism_threads(per_operation)
  except RuntimeError:
    logging.warning(
      "threads_per_operation=%d has no effect: TensorFlow has computed in this"
      " process before.",
      per_operation,
    )
