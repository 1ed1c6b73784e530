"""CSV tables with a header, such as manifests; errors name file and line."""

import csv
import itertools
from collections.abc import Iterator, Sequence

from tf_ssl import errors
from tf_ssl.ops import encodings

_SEPARATORS = (",", ";", "\t")
_INDEX = ("", "Unnamed: 0")
_MISSING = "nan"


class Table:
  """The rows of a CSV file whose first line names its columns.

  The separator is a comma; a semicolon or a tab if the first line has no comma.
  A first column without a name, as pandas writes its index, is dropped, and
  NaN, pandas' missing value, is an empty cell. Empty cells at the end of lines
  and lines of empty cells, which spreadsheets leave, are passed over.

  Attributes:
    file: path of the file.
    columns: names of its columns, lower case, in the order of the file.
  """

  def __init__(
    self,
    file: str,
    *,
    item: str,
    required: Sequence[str],
    optional: Sequence[Sequence[str]] = (),
  ):
    """Reads the header.

    Args:
      file: path of the CSV file, UTF-8 or UTF-16.
      item: what a row describes, "image" or "video", for errors.
      required: columns that the file must have; their cells are never blank.
      optional: groups of columns; the file has all or none of each group.

    Raises:
      UsageError: the file cannot be read, is not CSV, or has other columns.
    """
    self.file = file
    self._item = item
    self._required = required
    self._lines = self._read()
    self._header_line, header = next(self._lines, (1, []))
    header = _without_end(header, 1)
    self._indexed = len(header) > 1 and header[0].strip() in _INDEX
    self.columns = tuple(
      name.strip().lower() for name in header[self._indexed :]
    )
    names = set(self.columns)
    groups = [set(required), *(set(g) for g in optional if names & set(g))]
    if set().union(*groups) != names or len(names) != len(self.columns):
      expected = ",".join(required)
      expected += "".join(f"[,{','.join(group)}]" for group in optional)
      raise self.error(
        self._header_line,
        f"header {','.join(header)[:200]!r}; expected columns {expected}",
      )

  def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line number, from 1, and the cells by column of each row.

    Blank lines are skipped. It can be called once.

    Raises:
      UsageError: a row has too many or too few cells or a blank required one,
        or there is no row.
    """
    empty = True
    for line, cells in self._lines:
      expected = len(self.columns) + self._indexed
      cells = _without_end(cells, expected)
      if len(cells) != expected:
        raise self.error(line, f"{len(cells)} cells; expected {expected}")
      known = (
        "" if cell.strip().lower() == _MISSING else cell
        for cell in cells[self._indexed :]
      )
      row = dict(zip(self.columns, known, strict=True))
      for name in self._required:
        if not row[name].strip():
          raise self.error(line, f"no {name}; expected one in every row")
      empty = False
      yield line, row
    if empty:
      raise self.error(
        self._header_line,
        f"no {self._item} follows the header; expected one per line",
      )

  def error(self, line: int, problem: str) -> errors.UsageError:
    """Returns the error for a line, counted from 1."""
    return errors.UsageError(
      f"{self._item}s: {self.file}, line {line}: {problem}"
    )

  def _read(self) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and cells of every line that is not blank."""
    line = 1
    try:
      # File names may hold any bytes.
      with open(
        self.file,
        newline="",
        encoding=encodings.of(self.file),
        errors="surrogateescape",
      ) as stream:
        start = []
        for text in stream:
          start.append(text)
          if text.strip():
            break
        header = "".join(start)
        separator = next((s for s in _SEPARATORS if s in header), ",")
        reader = csv.reader(itertools.chain(start, stream), delimiter=separator)
        for cells in reader:
          line = reader.line_num + 1
          if any(map(str.strip, cells)):
            yield reader.line_num, cells
    except OSError as error:
      raise errors.UsageError(
        f"{self._item}s: cannot read the manifest {self.file!r}"
        f" ({error.strerror})"
      ) from error
    except Exception as error:  # Of the module csv, or of the encoding.
      raise self.error(line, f"not CSV ({error})") from error


def _without_end(cells: list[str], count: int) -> list[str]:
  """Drops empty cells at the end, as long as there are more than `count`."""
  while len(cells) > count and not cells[-1].strip():
    cells.pop()
  return cells
