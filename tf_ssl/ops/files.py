"""Files that are there as a whole or not at all."""

import contextlib
import os
import pathlib
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Gives the name of a file to write, which takes the name `path` when left.

  If the body raises, it is removed, and what stood at `path` stays. Several
  machines may write the same file at once: the last one stays.

  Args:
    path: of the file; its folder is there.

  Yields:
    A path beside it, for which `is_temporary` is true.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
  try:
    yield temporary
    with open(temporary, "rb") as file:
      os.fsync(file.fileno())  # or a power cut leaves an empty file
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def write(path: str | os.PathLike, text: str) -> None:
  """Writes a file that is either the old one or the whole new one, UTF-8."""
  with replacing(path) as temporary:
    temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def is_temporary(path: pathlib.Path) -> bool:
  """Whether the name is one that `replacing` gives."""
  return path.name.startswith(".") and path.name.endswith(".tmp")
