"""A CSV manifest: which files, with which labels, and which part of each."""

import csv
import os

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records

_BOX = ("xmin", "ymin", "xmax", "ymax")
_NO_BOX = (-1, -1, -1, -1)


def read(path: str, *, labelled: bool = False) -> records.ImageRecords:
  """Reads a manifest.

  The first line names the columns: `path`, and optionally `label` and `xmin`,
  `ymin`, `xmax`, `ymax`. Paths are relative to the manifest. Labels are class
  ids, or names, which get ids in their sorted order; an empty one is -1. Boxes
  are pixels, the maximum exclusive, the origin top left; four empty fields
  stand for the whole image.

  Args:
    path: the CSV file.
    labelled: whether every line must have a label.

  Returns:
    The records, in the manifest's order.

  Raises:
    UsageError: the file is missing, empty or malformed; the line is named.
  """
  try:
    with open(path, newline="", encoding="utf-8-sig") as file:
      rows = list(csv.reader(file))
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise errors.UsageError(
      f"images: cannot read the manifest {path!r} ({error}); expected a CSV "
      "file in UTF-8"
    ) from error
  columns = _columns(path, rows[0] if rows else [])
  width = len(rows[0])
  lines = [(n, row) for n, row in enumerate(rows[1:], start=2) if row]
  if not lines:
    raise errors.UsageError(
      f"images: the manifest {path!r} lists no image; expected at least one "
      "batch of lines below the header"
    )
  for number, row in lines:
    if len(row) != width or not row[columns["path"]]:
      raise _malformed(path, number, row, f"a path and {width} fields")
  root = os.path.dirname(os.path.abspath(path))
  names = [
    os.fsencode(os.path.relpath(os.path.join(root, row[columns["path"]]), root))
    for _, row in lines
  ]
  labels, class_names = _labels(path, lines, columns.get("label"), labelled)
  boxes = None
  if _BOX[0] in columns:
    places = [columns[name] for name in _BOX]
    boxes = np.array([_box(path, n, row, places) for n, row in lines], np.int32)
  return records.ImageRecords(
    root,
    np.array(names),
    np.array([_size(root, name) for name in names], np.int64),
    labels=labels,
    boxes=boxes,
    class_names=class_names,
  )


def _columns(path: str, header: list[str]) -> dict[str, int]:
  columns = {name.strip(): i for i, name in enumerate(header)}
  boxed = [name in columns for name in _BOX]
  known = {"path", "label", *_BOX}
  if (
    "path" not in columns
    or any(boxed) != all(boxed)
    or len(columns) != len(header)
    or not set(columns) <= known
  ):
    raise errors.UsageError(
      f"images: the manifest {path!r} begins with {','.join(header)!r}; "
      "expected the columns path[,label][,xmin,ymin,xmax,ymax]"
    )
  return columns


def _labels(
  path: str,
  lines: list[tuple[int, list[str]]],
  column: int | None,
  labelled: bool,
) -> tuple[np.ndarray | None, tuple[str, ...]]:
  if column is None:
    if labelled:
      raise errors.UsageError(
        f"images: the manifest {path!r} has no column `label`; labelled images "
        "need one"
      )
    return None, ()
  words = [row[column].strip() for _, row in lines]
  if labelled and "" in words:
    number, row = lines[words.index("")]
    raise _malformed(path, number, row, "a label (these images need one)")
  named = sorted({word for word in words if word})
  if all(word.isdigit() for word in named):
    ids, class_names = {word: int(word) for word in named}, ()
  else:
    ids = {word: i for i, word in enumerate(named)}
    class_names = tuple(named)
  ids[""] = -1
  return np.array([ids[word] for word in words], np.int32), class_names


def _box(
  path: str, number: int, row: list[str], places: list[int]
) -> tuple[int, ...]:
  fields = [row[place].strip() for place in places]
  if not any(fields):
    return _NO_BOX
  try:
    box = tuple(round(float(field)) for field in fields)
  except (ValueError, OverflowError) as error:
    raise _malformed(path, number, row, "a box of four numbers") from error
  xmin, ymin, xmax, ymax = box
  if not (0 <= xmin < xmax < 2**31 and 0 <= ymin < ymax < 2**31):
    raise _malformed(
      path, number, row, "a box with 0 <= xmin < xmax and 0 <= ymin < ymax"
    )
  return box


def _malformed(
  path: str, number: int, row: list[str], expected: str
) -> errors.UsageError:
  return errors.UsageError(
    f"images: line {number} of the manifest {path!r} is {','.join(row)!r}; "
    f"expected {expected}"
  )


def _size(root: str, name: bytes) -> int:
  try:
    return os.stat(os.path.join(os.fsencode(root), name)).st_size
  except OSError:  # reading it will fail and name it
    return 0
