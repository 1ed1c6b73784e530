"""A CSV file that lists images, with or without labels and boxes."""

import csv
import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records

BOX = ("xmin", "ymin", "xmax", "ymax")
_HEADER = "path[,label][,xmin,ymin,xmax,ymax]"
_NO_BOX = (-1, -1, -1, -1)
_MAX_INT32 = 2**31 - 1


class _Columns(NamedTuple):
  """Where each column stands in a row; None: the file has none."""

  width: int
  path: int
  label: int | None
  box: tuple[int, ...] | None


class _Rows(NamedTuple):
  """The body of the file, column by column, [N] each."""

  lines: array
  paths: list[str]
  labels: list[str]
  boxes: array  # [N * 4]


def read(
  file: str, *, labeled: bool = False, root: str | None = None
) -> records.ImageRecords:
  """Lists the images of a manifest, in the order of its rows.

  The first line names the columns: `path`, optionally `label`, optionally
  `xmin`, `ymin`, `xmax`, `ymax` (pixels, the maximum exclusive). Paths are
  relative to the folder of the manifest, or absolute. Labels are class ids, or
  names: if any label is not an integer all are names, and ids follow the sorted
  names. An empty label means unknown, four empty box cells the whole image.

  Args:
    file: the CSV file, UTF-8.
    labeled: whether every row must have a label.
    root: what paths are relative to; None for the folder of the manifest.

  Returns:
    The records; `labels` and `boxes` are None where the manifest has no such
    column, an unknown label is -1.

  Raises:
    UsageError: the manifest is malformed or an image is missing. Names file
      and line.
  """
  columns, rows = _parse(file, labeled)
  if not rows.paths:
    raise mistake(file, 1, "no image follows the header; expected one a line")
  found = locate(file, rows.paths, rows.lines, root=root)
  labels, class_names, boxes = None, (), None
  if columns.label is not None:
    labels, class_names = _labels(file, rows)
  if columns.box is not None:
    boxes = np.array(rows.boxes, np.int32).reshape(-1, 4)
  return found._replace(labels=labels, boxes=boxes, class_names=class_names)


def locate(
  file: str,
  paths: list[str],
  lines: Sequence[int],
  *,
  root: str | None = None,
) -> records.ImageRecords:
  """Finds the images that a manifest lists.

  Args:
    file: the manifest.
    paths: the images, relative to the root or absolute.
    lines: where each stands, for errors.
    root: a folder; None for the manifest's.

  Raises:
    UsageError: an image is missing.
  """
  root = os.path.abspath(os.path.dirname(file) if root is None else root)
  # Root and path are joined as text, so one absolute path makes all absolute.
  if any(path.startswith("/") for path in paths):
    paths = [os.path.join(root, path)[1:] for path in paths]
    root = "/"
  sizes = _sizes(file, os.path.join(root, ""), paths, lines)
  files = np.array([os.fsencode(path) for path in paths])
  return records.ImageRecords(root, files, sizes)


def _parse(file: str, labeled: bool) -> tuple[_Columns, _Rows]:
  body = read_lines(file)
  line, header = next(body, (1, []))
  columns = _columns(file, line, header)
  if labeled and columns.label is None:
    raise mistake(file, line, "no column `label`; labeled images need one")
  rows = _Rows(array("q"), [], [], array("i"))
  for line, row in body:
    if len(row) != columns.width:
      raise mistake(
        file, line, f"{len(row)} cells; expected {columns.width} as above"
      )
    path = row[columns.path]
    if not path:
      raise mistake(file, line, "no path; expected the path of an image")
    rows.lines.append(line)
    rows.paths.append(path)
    if columns.label is not None:
      label = row[columns.label].strip()
      if labeled and not label:
        raise mistake(file, line, "no label; labeled images need one each")
      rows.labels.append(label)
    if columns.box is not None:
      rows.boxes.extend(parse_box(file, line, [row[i] for i in columns.box]))
  return columns, rows


def read_lines(file: str) -> Iterator[tuple[int, list[str]]]:
  """Yields (line number, cells) of every line that is not blank.

  Raises:
    UsageError: the file cannot be read or is no CSV.
  """
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
      except csv.Error as error:
        raise mistake(file, reader.line_num, f"not CSV ({error})") from error
  except OSError as error:
    raise errors.UsageError(
      f"images: cannot read the manifest {file!r} ({error.strerror})"
    ) from error


def _columns(file: str, line: int, header: Sequence[str]) -> _Columns:
  names = [name.strip().lower() for name in header]
  boxed = [name for name in BOX if name in names]
  if (
    "path" not in names
    or len(set(names)) != len(names)
    or not set(names) <= {"path", "label", *BOX}
    or len(boxed) not in (0, 4)
  ):
    raise mistake(
      file, line, f"header {','.join(header)!r}; expected columns {_HEADER}"
    )
  return _Columns(
    len(names),
    names.index("path"),
    names.index("label") if "label" in names else None,
    tuple(map(names.index, BOX)) if boxed else None,
  )


def parse_box(file: str, line: int, cells: list[str]) -> tuple[int, ...]:
  """Four cells as a box, -1 each where all are empty.

  Raises:
    UsageError: they are neither.
  """
  try:
    xmin, ymin, xmax, ymax = map(int, cells)
  except ValueError:
    if not any(cell.strip() for cell in cells):
      return _NO_BOX
  else:
    if 0 <= xmin < xmax <= _MAX_INT32 and 0 <= ymin < ymax <= _MAX_INT32:
      return xmin, ymin, xmax, ymax
  raise mistake(
    file,
    line,
    f"box {','.join(cells)!r}; expected whole pixels 0 <= xmin < xmax and "
    "0 <= ymin < ymax, or four empty cells",
  )


def _sizes(
  file: str, prefix: str, paths: list[str], lines: array
) -> np.ndarray:
  sizes = np.empty(len(paths), np.int64)
  for i, path in enumerate(paths):
    try:
      info = os.stat(prefix + path)
    except (OSError, ValueError):  # ValueError: a null character
      info = None
    if info is None or not stat.S_ISREG(info.st_mode):
      raise mistake(
        file,
        lines[i],
        f"no file {prefix + path!r}; expected paths relative to the manifest's "
        "folder (or to that of the images, where one is given), or absolute",
      )
    sizes[i] = info.st_size
  return sizes


def _labels(file: str, rows: _Rows) -> tuple[np.ndarray, tuple[str, ...]]:
  """Returns labels [N] int32 and the names of the classes, if they have any."""
  names = sorted(set(rows.labels) - {""})
  try:
    ids, class_names = {name: int(name) for name in names}, ()
  except ValueError:
    ids, class_names = {name: i for i, name in enumerate(names)}, tuple(names)
  wrong = {name for name, i in ids.items() if not 0 <= i <= _MAX_INT32}
  if wrong:
    row = next(i for i, name in enumerate(rows.labels) if name in wrong)
    raise mistake(
      file,
      rows.lines[row],
      f"label {rows.labels[row]}; expected a class id from 0, a name, or "
      "nothing where it is unknown",
    )
  ids[""] = -1
  labels = np.array([ids[name] for name in rows.labels], np.int32)
  return labels, class_names


def mistake(file: str, line: int, problem: str) -> errors.UsageError:
  """The error of a line, counted from 1, of a manifest."""
  return errors.UsageError(f"images: {file}, line {line}: {problem}")
