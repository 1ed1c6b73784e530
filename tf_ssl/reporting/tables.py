"""Values of results as CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_ssl.ops import names


def csv_text(
  rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> str:
  """Rows as CSV with a header line, all of it printable (`names.printable`).

  Args:
    rows: {column: value}; None becomes an empty cell.
    columns: names of the columns, in order; by default those of the first row.
      There must be a first row then.
  """
  rows = list(rows)
  text = io.StringIO()
  writer = csv.DictWriter(text, columns or list(rows[0]), lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return names.printable(text.getvalue())


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
  """Rows as lines of text with aligned columns.

  Args:
    rows: cells of each row, all of one number, one line each.
    left: number of first columns that are aligned to the left; the others, of
      numbers, are aligned to the right.
  """
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return [
    "  ".join(
      f"{cell:{'<' if i < left else '>'}{width}}"
      for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()
    for row in rows
  ]


def json_text(value: Any) -> str:
  """The text of a JSON file with `json_value(value)`."""
  return json.dumps(json_value(value), indent=2, allow_nan=False) + "\n"


def json_value(value: Any) -> Any:
  """The value in types that JSON has.

  Named tuples and mappings become objects, arrays and sequences become lists,
  NaN and infinity become null, and anything unknown becomes its text. Text is
  printable (`names.printable`): half a surrogate pair is no valid JSON.
  """
  if hasattr(value, "_asdict"):
    value = value._asdict()
  if isinstance(value, Mapping):
    return {
      names.printable(str(name)): json_value(each)
      for name, each in value.items()
    }
  if isinstance(value, np.ndarray | np.generic):
    value = value.tolist()
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if isinstance(value, Sequence) and not isinstance(value, str | bytes):
    return [json_value(each) for each in value]
  if value is None or isinstance(value, bool | int | float):
    return value
  return names.printable(str(value))
