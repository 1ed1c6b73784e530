"""A CSV file that lists sets of images in which one thing changes."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.datasets import manifest
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 224
_HEADER = "path,set[,class][,xmin,ymin,xmax,ymax][,value]"
_KNOWN = {"path", "set", "class", "value", *manifest.BOX}


class _Columns(NamedTuple):
  """Where each column stands in a row; None: the file has none."""

  width: int
  path: int
  set: int
  klass: int | None
  box: tuple[int, ...] | None
  value: int | None


class _Row(NamedTuple):
  """One image; box and value are None where the file has no such column."""

  line: int
  path: str
  set: str
  klass: str
  box: tuple[int, ...] | None
  value: float | None


def read(
  file: str,
  *,
  invariance: str = "sets",
  factor_name: str = "value",
  factor_unit: str = "",
  factor_period: float | None = None,
  image_size: int = IMAGE_SIZE,
) -> invariance_sets.InvarianceSets:
  """Lists the sets of a manifest, in the order of its rows.

  The first line names the columns: `path` and `set`; optionally `class`, one
  for all images of a set, which is otherwise its own class; optionally `xmin`,
  `ymin`, `xmax`, `ymax`, the region to crop, as in `manifest.read`; optionally
  `value`, the factor's, a number or empty where it is unknown.

  Args:
    file: the CSV file, UTF-8.
    invariance: to what; a name for reports.
    factor_name: what `value` is, for reports.
    factor_unit: its unit.
    factor_period: 360 for angles that go round; None for a line.
    image_size: H and W that images, or crops, are resized to.

  Raises:
    UsageError: the manifest is malformed, a set has two classes or an image is
      missing. Names file and line.
  """
  rows = list(_rows(file))
  if not rows:
    raise manifest.mistake(
      file, 1, "no image follows the header; expected one a line"
    )
  images = manifest.locate(
    file, [row.path for row in rows], [row.line for row in rows]
  )
  if rows[0].box is not None:
    images = images._replace(boxes=np.array([r.box for r in rows], np.int32))
  class_of: dict[str, str] = {}
  for row in rows:
    first = class_of.setdefault(row.set, row.klass)
    if first != row.klass:
      raise manifest.mistake(
        file,
        row.line,
        f"set {row.set!r} is of class {row.klass!r} here and {first!r} above; "
        "expected one class for all images of a set",
      )
  set_names = tuple(class_of)
  class_names = tuple(dict.fromkeys(class_of.values()))
  sets = {name: number for number, name in enumerate(set_names)}
  classes = {name: number for number, name in enumerate(class_names)}
  valued = rows[0].value is not None
  return invariance_sets.InvarianceSets(
    source="manifest",
    invariance=invariance,
    images=images,
    sets=np.array([sets[row.set] for row in rows], np.int32),
    classes=np.array([classes[row.klass] for row in rows], np.int32),
    set_names=set_names,
    class_names=class_names,
    factor=np.array([r.value if valued else math.nan for r in rows]),
    factor_name=factor_name if valued else "",
    factor_unit=factor_unit if valued else "",
    factor_period=factor_period if valued else None,
    image_size=image_size,
    skipped={},
  )


def _rows(file: str) -> Iterator[_Row]:
  body = manifest.read_lines(file)
  line, header = next(body, (1, []))
  columns = _columns(file, line, header)
  for line, row in body:
    if len(row) != columns.width:
      raise manifest.mistake(
        file, line, f"{len(row)} cells; expected {columns.width} as above"
      )
    path, name = row[columns.path], row[columns.set].strip()
    klass = name if columns.klass is None else row[columns.klass].strip()
    for cell, what in ((path, "path"), (name, "set"), (klass, "class")):
      if not cell:
        raise manifest.mistake(
          file, line, f"no {what}; expected that of an image"
        )
    box = value = None
    if columns.box is not None:
      box = manifest.parse_box(file, line, [row[i] for i in columns.box])
    if columns.value is not None:
      value = _value(file, line, row[columns.value])
    yield _Row(line, path, name, klass, box, value)


def _columns(file: str, line: int, header: Sequence[str]) -> _Columns:
  names = [name.strip().lower() for name in header]
  boxed = [name for name in manifest.BOX if name in names]
  if (
    not {"path", "set"} <= set(names) <= _KNOWN
    or len(set(names)) != len(names)
    or len(boxed) not in (0, 4)
  ):
    raise manifest.mistake(
      file, line, f"header {','.join(header)!r}; expected columns {_HEADER}"
    )
  return _Columns(
    len(names),
    names.index("path"),
    names.index("set"),
    names.index("class") if "class" in names else None,
    tuple(map(names.index, manifest.BOX)) if boxed else None,
    names.index("value") if "value" in names else None,
  )


def _value(file: str, line: int, cell: str) -> float:
  if not cell.strip():
    return math.nan
  try:
    value = float(cell)
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise manifest.mistake(
      file,
      line,
      f"value {cell!r}; expected a number, or nothing where it is unknown",
    )
  return value
