"""A file that is there as a whole or not at all."""

import contextlib
import os
from collections.abc import Iterator

from tf_ssl import errors


@contextlib.contextmanager
def replacing(path: str, *, overwrite: bool = False) -> Iterator[str]:
  """Gives a name to write to, which becomes `path` when left.

  Args:
    path: of the file to make; its folders are made too.
    overwrite: replace a file that stands there.

  Yields:
    A path beside it. If the body raises, what was written is removed.

  Raises:
    UsageError: something stands at `path`, or it cannot be written.
  """
  path = os.path.abspath(path)
  if os.path.isdir(path) or (os.path.exists(path) and not overwrite):
    raise errors.UsageError(
      f"the output {path} exists already; choose another output, or ask for it "
      "to be replaced with overwrite"
    )
  partial = f"{path}.partial-{os.getpid()}"
  try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    yield partial
    os.replace(partial, path)
  except OSError as error:
    raise errors.UsageError(
      f"cannot write {path}: {error.strerror or error}; choose an output on a "
      "disk with room that you may write to"
    ) from error
  finally:
    if os.path.exists(partial):
      os.remove(partial)
