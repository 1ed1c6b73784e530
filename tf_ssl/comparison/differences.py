"""What differs among reports or runs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_HASH = re.compile(r"[0-9a-f]{40,}")


def several(
  dictionaries: Sequence[Mapping[str, Any]],
) -> dict[str, list[Any]]:
  """{key: distinct values} for keys with several values or not in all."""
  keys = dict.fromkeys(key for each in dictionaries for key in each)
  found = {}
  for key in keys:
    values = []
    for each in dictionaries:
      if each.get(key) not in values:
        values.append(each.get(key))
    if len(values) > 1:
      found[key] = values
  return found


def short(value: Any) -> Any:
  """The value with 12 digits of each hash."""
  if isinstance(value, Mapping):
    return {name: short(each) for name, each in value.items()}
  if isinstance(value, Sequence) and not isinstance(value, str):
    return [short(each) for each in value]
  is_hash = isinstance(value, str) and _HASH.fullmatch(value)
  return value[:12] if is_hash else value
