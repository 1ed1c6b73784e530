"""Data from outside of an experiment: what of them decides a step's key."""

import hashlib
import os
from collections.abc import Iterator

# A file up to this size is read; of a larger one its size counts.
_READ_BYTES = 64 * 2**20


def digest(path: str) -> str:
  """Identifies a file or a folder: where it changes, steps are done anew.

  A file is identified by what it holds (beyond 64 MiB by its size), a folder by
  the names and sizes of all files in it: reading a million images to find that
  nothing has changed would take longer than most steps.

  Args:
    path: of a file or a folder, or of nothing.

  Returns:
    Hexadecimal; "absent" where there is nothing.
  """
  path = os.path.expanduser(path)
  if os.path.isdir(path):
    lines = sorted(_names_and_sizes(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
  try:
    size = os.path.getsize(path)
    if size > _READ_BYTES:
      return f"{size} bytes"
    with open(path, "rb") as file:
      return hashlib.file_digest(file, "sha256").hexdigest()
  except OSError:
    return "absent"


def _names_and_sizes(folder: str) -> Iterator[str]:
  for parent, _, names in os.walk(folder, followlinks=True):
    for name in names:
      path = os.path.join(parent, name)
      try:
        size = os.stat(path).st_size
      except OSError:  # a link to nowhere; a step may or may not want it
        size = -1
      shown = os.fsencode(os.path.relpath(path, folder)).hex()
      yield f"{shown} {size}\n"
