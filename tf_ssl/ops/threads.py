"""Number of cores, and thread counts of the libraries."""

import os

import cv2


def num_cores() -> int:
  """Returns the number of cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def use_one_for_opencv() -> None:
  """Makes OpenCV single-threaded, for one of several worker processes."""
  cv2.setNumThreads(1)
