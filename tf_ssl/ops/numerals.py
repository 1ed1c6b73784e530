"""Numbers in files that people and tools write: JSON, XML and CSV.

Tools write one number as 4, 4.0, "4" or "4.0"; all are read. Nothing else
becomes a number: Python's own readers also take 1_0 for 10, and True for 1.
"""

import re
from typing import Any

_KINDS = (int, float, str)
_WHOLE = re.compile(r"\s*([+-]?\d+)(?:\.0*)?\s*")


def number(value: Any) -> float | None:
  """Returns a number, also if it is text; None for anything else.

  Args:
    value: value from JSON, or a text; `nan` and `inf` are numbers.
  """
  if isinstance(value, bool) or not isinstance(value, _KINDS):
    return None
  if isinstance(value, str) and "_" in value:
    return None
  try:
    return float(value)
  except (ValueError, OverflowError):
    return None


def whole(value: Any) -> int | None:
  """Returns a whole number that fits int64; None for anything else.

  Args:
    value: value from JSON, or a text; 4.0 and "4.0" are 4, "1e3" is a name.
  """
  if isinstance(value, str):
    match = _WHOLE.fullmatch(value)
    try:
      value = int(match[1]) if match else None
    except ValueError:  # More than 4,300 digits.
      return None
  elif isinstance(value, float):
    value = int(value) if value.is_integer() else None
  if isinstance(value, bool) or not isinstance(value, int):
    return None
  return value if abs(value) < 2**63 else None
