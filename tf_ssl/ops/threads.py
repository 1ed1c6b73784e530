"""Number of cores, and thread counts of the libraries."""

import contextlib
import os
import queue
from concurrent import futures

import cv2
import threadpoolctl
from absl import logging


def num_cores() -> int:
  """Returns the number of cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def pool(jobs: int) -> futures.ThreadPoolExecutor:
  """Threads that each keep to their share of the cores, as do their children.

  Two programs that each use all cores disturb each other. A thread may use any
  core if there are fewer cores than jobs, or where the system cannot keep it to
  some.

  Args:
    jobs: number of threads.
  """
  if not hasattr(os, "sched_getaffinity") or jobs > num_cores():
    return futures.ThreadPoolExecutor(jobs)
  cores = sorted(os.sched_getaffinity(0))
  shares = queue.SimpleQueue()
  for job in range(jobs):
    shares.put(cores[job::jobs])
  return futures.ThreadPoolExecutor(
    jobs, initializer=lambda: os.sched_setaffinity(0, shares.get())
  )


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
