"""Class names by class id, read from YAML, JSON or text."""

import json
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tf_ssl import errors
from tf_ssl.ops import encodings, names, numerals

_EXPECTED = (
  "a .yaml or .json file with {ID: NAME}, [NAME, ...], COCO's categories"
  " ([{id, name}, ...]), or one of these under `classes`, `names` or"
  " `categories`; or a text file with NAME or ID: NAME on each line"
)
_KEYS = ("classes", "names", "categories")


class _Loader(yaml.SafeLoader):
  """Reads scalars as text: YAML takes `no` for false and 007 for 7."""

  yaml_implicit_resolvers: dict = {}


def read(file: str) -> dict[int, str]:
  """Reads class names.

  Args:
    file: YAML or JSON file with {ID: NAME}, [NAME, ...] or COCO's categories,
      at the top level or under `classes`, `names` or `categories`; or a text
      file with NAME or ID: NAME on each line. Without ids, names count from 0.
      Names may be empty.

  Returns:
    Names by id, sorted by id.

  Raises:
    UsageError: the file cannot be read or has another format.
  """
  path = os.path.expanduser(file)
  suffix = os.path.splitext(path)[1].lower()
  try:
    with open(path, encoding=encodings.of(path)) as stream:
      text = stream.read()
    if suffix in (".yaml", ".yml"):
      content = yaml.load(text, Loader=_Loader)
    elif suffix == ".json":
      content = json.loads(text)
    else:
      content = _lines(text)
    found = _by_id(content)
  except OSError as error:
    raise errors.UsageError(
      f"classes: cannot read {file!r} ({error.strerror}); expected {_EXPECTED}"
    ) from error
  except Exception as error:  # Nested values have errors of their own.
    raise errors.UsageError(
      f"classes: {file!r} has no class names"
      f" ({' '.join(str(error).split())[:200]}); expected {_EXPECTED}"
    ) from error
  return dict(sorted(found.items()))


def _lines(text: str) -> Any:
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  numbered = [re.fullmatch(r"(\d+)\s*[:\t]\s*(.*)", line) for line in lines]
  if lines and all(numbered):
    return {match[1]: match[2] for match in numbered}
  return lines


def _by_id(content: Any) -> dict[int, str]:
  if isinstance(content, Mapping):
    for key in _KEYS:
      if key in content:
        return _by_id(content[key])
    pairs = list(content.items())
  elif isinstance(content, Sequence) and not isinstance(content, str):
    pairs = [
      (each["id"], each["name"]) if isinstance(each, Mapping) else (i, each)
      for i, each in enumerate(content)
    ]
  else:
    raise ValueError(f"found {type(content).__name__}")
  found = {_id(number): names.of_class(_text(name)) for number, name in pairs}
  if not found or min(found) < 0 or len(found) != len(pairs):
    raise ValueError("no class, a negative id, or a repeated id")
  return found


def _id(value: Any) -> int:
  number = numerals.whole(value)
  if number is None:
    raise ValueError(f"the id {reprlib.repr(value)} is not a whole number")
  return number


def _text(value: Any) -> str:
  if not isinstance(value, str | int | float):
    raise ValueError(f"the name {reprlib.repr(value)} is not text")
  return str(value)
