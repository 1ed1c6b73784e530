"""A CSV file that lists videos, or parts of them."""

import csv
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tf_ssl import errors

_COLUMNS = {"path", "label", "start", "end"}
_HEADER = "path[,label][,start,end]"


class Row(NamedTuple):
  """One line.

  Attributes:
    line: its number, from 1.
    path: as it stands there.
    label: None where the cell is empty or there is no such column.
    start: seconds, or None.
    end: seconds, or None.
  """

  line: int
  path: str
  label: str | None
  start: float | None
  end: float | None


def read(file: str) -> list[Row]:
  """Reads a manifest, in the order of its rows.

  The first line names the columns: `path`, optionally `label`, optionally
  `start` and `end`: the seconds between which the video counts. An empty cell
  means unknown, or the video's own beginning or end.

  Args:
    file: the CSV file, UTF-8.

  Raises:
    UsageError: it is malformed or has no row. Names file and line.
  """
  lines = _lines(file)
  line, header = next(lines, (1, []))
  names = [name.strip().lower() for name in header]
  if (
    "path" not in names
    or len(set(names)) != len(names)
    or not set(names) <= _COLUMNS
    or ("start" in names) != ("end" in names)
  ):
    raise error(
      file, line, f"header {','.join(header)!r}; expected columns {_HEADER}"
    )
  rows = [_row(file, line, names, cells) for line, cells in lines]
  if not rows:
    raise error(file, line, "no video follows the header; expected one a line")
  return rows


def error(file: str, line: int, problem: str) -> errors.UsageError:
  """Returns the error for a line."""
  return errors.UsageError(f"videos: {file}, line {line}: {problem}")


def _row(file: str, line: int, names: Sequence[str], cells: list[str]) -> Row:
  if len(cells) != len(names):
    raise error(
      file, line, f"{len(cells)} cells; expected {len(names)} as above"
    )
  values = dict(zip(names, cells, strict=True))
  if not values["path"]:
    raise error(file, line, "no path; expected the path of a video")
  start = _seconds(file, line, "start", values.get("start", ""))
  end = _seconds(file, line, "end", values.get("end", ""))
  if end is not None and end <= (start or 0.0):
    raise error(
      file, line, f"start {start or 0:g}, end {end:g}; expected start < end"
    )
  label = values.get("label", "").strip() or None
  return Row(line, values["path"], label, start, end)


def _seconds(file: str, line: int, name: str, cell: str) -> float | None:
  if not cell.strip():
    return None
  try:
    seconds = float(cell)
  except ValueError:
    seconds = math.nan
  if not 0 <= seconds < math.inf:
    raise error(
      file, line, f"{name} {cell!r}; expected seconds from 0, or nothing"
    )
  return seconds


def _lines(file: str) -> Iterator[tuple[int, list[str]]]:
  """Yields (line number, cells) of every line that is not blank."""
  try:
    # Names of files may be any bytes; spreadsheets write a byte-order mark.
    with open(
      file, newline="", encoding="utf-8-sig", errors="surrogateescape"
    ) as stream:
      reader = csv.reader(stream)
      try:
        for row in reader:
          if row:
            yield reader.line_num, row
      except csv.Error as problem:
        raise error(file, reader.line_num, f"not CSV ({problem})") from problem
  except OSError as problem:
    raise errors.UsageError(
      f"videos: cannot read the manifest {file!r} ({problem.strerror})"
    ) from problem
