"""A CSV file that lists videos, or parts of them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.ops import names, table


class Row(NamedTuple):
  """One line of a manifest.

  Attributes:
    line: line number, from 1.
    path: path of the video, as written in the manifest.
    label: name of its class; None if the cell is empty or has no column.
    start: start of the part to use, seconds; None for the video's own start.
    end: end of the part to use, seconds; None for the video's own end.
  """

  line: int
  path: str
  label: str | None
  start: float | None
  end: float | None


def read(file: str) -> list[Row]:
  """Reads a manifest, in the order of its rows.

  The first line names the columns: `path`, optionally `label`, optionally
  `start` and `end`, the limits in seconds of the part of the video to use. An
  empty cell means an unknown label, or the video's own start or end.

  Args:
    file: path of the CSV file, UTF-8.

  Raises:
    UsageError: the manifest is malformed or has no row; the message names file
      and line.
  """
  rows = table.Table(
    file,
    item="video",
    required=("path",),
    optional=(("label",), ("start", "end")),
  )
  return [_row(rows, line, cells) for line, cells in rows.rows()]


def error(file: str, line: int, problem: str) -> errors.UsageError:
  """Returns the error for a line."""
  return errors.UsageError(f"videos: {file}, line {line}: {problem}")


def _row(rows: table.Table, line: int, cells: Mapping[str, str]) -> Row:
  start = _seconds(rows, line, "start", cells.get("start", ""))
  end = _seconds(rows, line, "end", cells.get("end", ""))
  if end is not None and end <= (start or 0.0):
    raise rows.error(
      line, f"start {start or 0:g}, end {end:g}; expected start < end"
    )
  label = names.of_class(cells.get("label", "").strip()) or None
  return Row(line, cells["path"], label, start, end)


def _seconds(
  rows: table.Table, line: int, name: str, cell: str
) -> float | None:
  if not cell.strip():
    return None
  try:
    seconds = float(cell)
  except ValueError:
    seconds = math.nan
  if not 0 <= seconds < math.inf:
    raise rows.error(
      line, f"{name} {cell!r}; expected seconds from 0, or an empty cell"
    )
  return seconds
