"""Texts that stand for paths: what other steps have made, and real data.

`step:NAME` and `data:`, at the beginning of a text or behind "=".
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_STEP = re.compile(r"(?:^|(?<==))step:([A-Za-z0-9_-]+)")
_DATA = re.compile(r"(?:^|(?<==))data:/*")
_BELOW_DATA = re.compile(_DATA.pattern + r"(.*)", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def steps_in(values: Any) -> list[str]:
  """Names of the steps that texts in nested values name, in their order."""
  return [name for text in _texts(values) for name in _STEP.findall(text)]


def data_in(values: Any) -> list[str]:
  """Paths below the folder of real data that texts in nested values name."""
  return [path for text in _texts(values) for path in _BELOW_DATA.findall(text)]


def fill(
  value: Any, *, step: Callable[[str], str], data: Callable[[], str]
) -> Any:
  """Replaces what texts in nested lists stand for.

  Args:
    value: of a binding or a flag; what is no text stays.
    step: from the name of a step to its output.
    data: gives the folder of real data.
  """
  if isinstance(value, list | tuple):
    return type(value)(fill(each, step=step, data=data) for each in value)
  if not isinstance(value, str):
    return value
  value = _STEP.sub(lambda found: step(found[1]), value)
  return _DATA.sub(lambda _: os.path.join(data(), ""), value)


def outside_paths(texts: Iterable[str]) -> list[str]:
  """The files and folders that words, or gin bindings, name and that exist.

  Only what has a slash is taken for a path. Where a name ends with "dir", as
  FRAMES_DIR and --cache_dir do, it says where a program keeps things, not what
  it reads.
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


def _texts(values: Any) -> Iterator[str]:
  """The texts in nested values, in their order."""
  if isinstance(values, str):
    yield values
  elif isinstance(values, Mapping):
    yield from _texts(list(values.values()))
  elif isinstance(values, list | tuple):
    for value in values:
      yield from _texts(value)
