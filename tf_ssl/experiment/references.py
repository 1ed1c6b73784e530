"""Placeholders for paths in the values of steps, and digests of outside data.

`step:NAME` stands for the output of another step and `data:` for the folder of
real data, at the beginning of a text or after "=".
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_STEP = re.compile(r"(?:^|(?<==))step:([A-Za-z0-9_-]+)")
_DATA = re.compile(r"(?:^|(?<==))data:/*")
_BELOW_DATA = re.compile(_DATA.pattern + r"(.*)", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_READ_BYTES = 64 * 2**20  # Larger files are identified by their size.


def steps_in(values: Any) -> list[str]:
  """Names of the steps in texts of nested values, in order."""
  return [name for text in _texts(values) for name in _STEP.findall(text)]


def data_in(values: Any) -> list[str]:
  """Paths below the folder of real data in texts of nested values, in order."""
  return [path for text in _texts(values) for path in _BELOW_DATA.findall(text)]


def fill(
  value: Any, *, step: Callable[[str], str], data: Callable[[], str]
) -> Any:
  """Replaces the placeholders in texts of nested lists.

  Args:
    value: value of a binding or flag; only texts change.
    step: maps the name of a step to its output.
    data: returns the folder of real data.
  """
  if isinstance(value, list | tuple):
    return type(value)(fill(each, step=step, data=data) for each in value)
  if not isinstance(value, str):
    return value
  value = _STEP.sub(lambda found: step(found[1]), value)
  return _DATA.sub(lambda _: os.path.join(data(), ""), value)


def outside_paths(texts: Iterable[str]) -> list[str]:
  """Existing files and folders that words or gin bindings name, sorted.

  Only texts with a slash count as paths. A name that ends with "dir", such as
  FRAMES_DIR or --cache_dir, is a place for results of the program, not an
  input.
  """
  found = set()
  for text in texts:
    name, is_named, value = text.partition("=")
    value = value if is_named else text
    if is_named and name.lower().endswith("dir"):
      continue
    quoted = [one or other for one, other in _QUOTED.findall(value)]
    for candidate in (value, *quoted):
      path = os.path.expanduser(candidate)
      if "/" in candidate and os.path.exists(path):
        found.add(candidate)
  return sorted(found)


def digest(path: str) -> str:
  """Digest of outside data: steps run again when it changes.

  A file is identified by its content (beyond 64 MiB by its size), a folder by
  the names and sizes of all its files: reading a million images would take
  longer than most steps.

  Args:
    path: path of a file or folder that may be missing.

  Returns:
    Hexadecimal digest; "absent" for a missing path.
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
      except OSError:  # A broken link.
        size = -1
      shown = os.fsencode(os.path.relpath(path, folder)).hex()
      yield f"{shown} {size}\n"


def _texts(values: Any) -> Iterator[str]:
  """Texts in nested values, in order."""
  if isinstance(values, str):
    yield values
  elif isinstance(values, Mapping):
    yield from _texts(list(values.values()))
  elif isinstance(values, list | tuple):
    for value in values:
      yield from _texts(value)
