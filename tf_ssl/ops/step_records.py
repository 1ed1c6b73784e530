"""Files of one JSON object a line, each the record of a step."""

import json
import os
import pathlib
from typing import Any, NamedTuple


class StepRecords(NamedTuple):
  """What can be read of a file.

  Attributes:
    records: records in the order of the file, with an int `step` each.
    damaged: numbers of the lines, from 1, that a kill or a full disk has
      damaged, also of a last one without an end.
  """

  records: list[dict[str, Any]]
  damaged: list[int]


def read(path: str | os.PathLike) -> StepRecords:
  """Reads a file such as metrics.jsonl; nothing for a missing one.

  Raises:
    OSError: the file cannot be read.
  """
  path = pathlib.Path(path)
  found = StepRecords([], [])
  if not path.exists():
    return found
  *lines, rest = path.read_text("utf-8", errors="replace").split("\n")
  for number, line in enumerate(lines, 1):
    record = _record(line)
    if record is not None:
      found.records.append(record)
    elif line.strip():
      found.damaged.append(number)
  if rest.strip():
    found.damaged.append(len(lines) + 1)
  return found


def _record(line: str) -> dict[str, Any] | None:
  try:
    record = json.loads(line)
  except (ValueError, RecursionError):
    return None
  is_record = isinstance(record, dict) and type(record.get("step")) is int
  return record if is_record else None
