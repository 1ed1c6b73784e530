"""A directory that is there as a whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import tensorflow as tf

from tf_ssl import errors

_UNWRITABLE = (
  OSError,
  tf.errors.FailedPreconditionError,
  tf.errors.PermissionDeniedError,
  tf.errors.ResourceExhaustedError,
)


@contextlib.contextmanager
def replacing(path: str, *, overwrite: bool = False) -> Iterator[str]:
  """Gives a directory to fill, which takes the name `path` when left.

  It stands beside `path` meanwhile. If the body raises, it is removed, and what
  stood at `path` stays.

  Args:
    path: name of the directory to make; its parents are made too.
    overwrite: replace what stands there. An empty directory always gives way.

  Yields:
    Path of a new, empty directory on the same disk.

  Raises:
    UsageError: something stands at `path` and overwrite is False, or it cannot
      be written (no permission, full disk).
  """
  path = os.path.abspath(path)
  if not overwrite and os.path.exists(path) and not _is_empty(path):
    raise errors.UsageError(
      f"the output {path} exists already; choose another output, or ask for it "
      "to be replaced with overwrite"
    )
  partial = f"{path}.partial-{os.getpid()}"
  try:
    os.makedirs(partial)
    yield partial
    _move(partial, path)
  except _UNWRITABLE as error:
    reason = getattr(error, "strerror", None) or getattr(error, "message", "")
    raise errors.UsageError(
      f"cannot write {path}: {reason or error}; choose an output on a disk "
      "with room that you may write to"
    ) from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _is_empty(path: str) -> bool:
  return os.path.isdir(path) and not os.listdir(path)


def _move(partial: str, path: str) -> None:
  if not os.path.exists(path) or _is_empty(path):
    os.replace(partial, path)
    return
  old = f"{path}.replaced-{os.getpid()}"
  os.replace(path, old)
  os.replace(partial, path)
  if os.path.isdir(old):
    shutil.rmtree(old)
  else:
    os.remove(old)
