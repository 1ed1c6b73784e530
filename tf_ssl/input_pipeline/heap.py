"""Keeping memory that was freed, for the next batch."""

import ctypes
import functools
import sys

# From glibc's malloc.h; the first is as large as it may be.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20
_KEPT = 256 << 20


@functools.cache
def keep_freed_memory() -> bool:
  """Has the C library keep up to 256 MiB of freed memory at hand.

  By default glibc gives large blocks back to the kernel at once, and a batch
  spends a third of its time on having the same pages zeroed and mapped again.
  A setting of the whole process; does nothing where the C library is another.

  Returns:
    Whether it was done.
  """
  if not sys.platform.startswith("linux"):
    return False
  try:
    mallopt = ctypes.CDLL(None).mallopt
  except AttributeError:
    return False
  return bool(
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    and mallopt(_M_TRIM_THRESHOLD, _KEPT)
  )
