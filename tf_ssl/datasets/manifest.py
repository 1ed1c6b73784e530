"""A CSV file that lists images, with or without labels and boxes."""

import os
import stat
from array import array
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from tf_ssl.datasets import records
from tf_ssl.ops import names, numerals, spelling, table

BOX = ("xmin", "ymin", "xmax", "ymax")
_NO_BOX = (-1, -1, -1, -1)
_MAX_INT32 = 2**31 - 1
_MAX_LABEL = 10**7 - 1  # Classes are counted from 0 to the largest label.


def read(
  file: str, *, labeled: bool = False, root: str | None = None
) -> records.ImageRecords:
  """Lists the images of a manifest, in the order of its rows.

  The first line names the columns: `path`, optionally `label`, optionally
  `xmin`, `ymin`, `xmax`, `ymax` (pixels, maxima exclusive). Paths are absolute
  or relative to the folder of the manifest. A single file that does not exist
  is left out with a warning; several are kept, with size 0, and count toward
  max_skipped_fraction like damaged ones when they are to be read. Labels
  are class ids or class names: if any label is not an integer, all are names,
  and ids follow the sorted names. An empty label means unknown; four empty box
  cells mean the whole image. Integers may be written as 3.0.

  Args:
    file: path of the CSV file (see `table.Table`).
    labeled: whether every row must have a label.
    root: folder that paths are relative to; None for the manifest's folder.

  Returns:
    The records. `labels` and `boxes` are None where the manifest has no such
    column; an unknown label is -1.

  Raises:
    UsageError: the manifest is malformed or all images are missing; the
      message names file and line.
  """
  required, optional = ["path"], [["label"], BOX]
  if labeled:
    required.append(optional.pop(0)[0])
  rows = table.Table(file, item="image", required=required, optional=optional)
  # Typed arrays, so that a million rows stay small.
  lines, boxes = array("q"), array("i")
  paths, labels = [], []
  for line, row in rows.rows():
    lines.append(line)
    paths.append(row["path"])
    labels.append(row.get("label", "").strip())
    if BOX[0] in row:
      boxes.extend(parse_box(rows, line, row))
  found = locate(rows, paths, lines, root=root)
  if boxes:
    found = found._replace(boxes=np.array(boxes, np.int32).reshape(-1, 4))
  if "label" in rows.columns:
    ids, class_names = _labels(rows, labels, lines)
    found = found._replace(labels=ids, class_names=class_names)
  return _without_one(found)


def locate(
  manifest: table.Table,
  paths: list[str],
  lines: Sequence[int],
  *,
  root: str | None = None,
) -> records.ImageRecords:
  """Finds the images that a manifest lists.

  Args:
    manifest: table that lists them.
    paths: paths of the images, absolute or relative to `root`.
    lines: line of each path in the manifest, for errors.
    root: folder that paths are relative to; None for the manifest's folder.

  Returns:
    The records; files that do not exist have the size 0.

  Raises:
    UsageError: all images are missing.
  """
  root = os.path.abspath(
    os.path.dirname(manifest.file) if root is None else root
  )
  paths = [_on_disk(root, path) for path in paths]
  # Root and path are joined as text, so one absolute path makes all absolute.
  if any(path.startswith("/") for path in paths):
    paths = [os.path.join(root, path)[1:] for path in paths]
    root = "/"
  prefix = os.path.join(root, "")
  sizes = np.array([_size(prefix + path) for path in paths], np.int64)
  missing = np.flatnonzero(sizes < 0)
  if missing.size:
    line, path = lines[missing[0]], prefix + paths[missing[0]]
    if missing.size == len(paths):
      raise manifest.error(
        line,
        f"no file {path!r}, nor any other of {len(paths)}; expected absolute"
        " paths, or paths relative to the manifest's folder (to the folder of"
        " images, if one is given)",
      )
    logging.warning(
      "%s: %d of %d files do not exist, the first in line %d (%r)",
      manifest.file,
      missing.size,
      len(paths),
      line,
      path,
    )
  files = np.array([os.fsencode(path) for path in paths])
  return records.ImageRecords(root, files, np.maximum(sizes, 0))


def _without_one(found: records.ImageRecords) -> records.ImageRecords:
  """Leaves out the missing file, if it is only one."""
  gone = [
    i for i in np.flatnonzero(found.sizes == 0) if _size(found.path(i)) < 0
  ]
  if len({found.files[i] for i in gone}) != 1:
    return found
  return records.take(found, np.setdiff1d(np.arange(found.num_images), gone))


def _on_disk(root: str, path: str) -> str:
  if path.lstrip().startswith("/"):
    path = path.lstrip()
  return spelling.on_disk(root, path)


def _size(path: str) -> int:
  """Returns the size of a file in bytes; -1 if there is none."""
  try:
    info = os.stat(path)
  except (OSError, ValueError):  # ValueError: a null character.
    return -1
  return info.st_size if stat.S_ISREG(info.st_mode) else -1


def parse_box(
  manifest: table.Table, line: int, row: Mapping[str, str]
) -> tuple[int, ...]:
  """Returns the box of a row: xmin, ymin, xmax, ymax; -1 each if all are empty.

  Raises:
    UsageError: the cells are neither a box nor empty.
  """
  cells = [row[side] for side in BOX]
  sides = tuple(map(numerals.whole, cells))
  if None not in sides:
    xmin, ymin, xmax, ymax = sides
    if 0 <= xmin < xmax <= _MAX_INT32 and 0 <= ymin < ymax <= _MAX_INT32:
      return sides
  elif not any(cell.strip() for cell in cells):
    return _NO_BOX
  raise manifest.error(
    line,
    f"box {','.join(cells)[:80]!r}; expected whole pixels 0 <= xmin < xmax and"
    " 0 <= ymin < ymax, or four empty cells",
  )


def _labels(
  manifest: table.Table, labels: list[str], lines: Sequence[int]
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Returns class ids [N] int32, and class names if labels are names."""
  spelled = {label: names.of_class(label) for label in {*labels}}
  labels = [spelled[label] for label in labels]
  given = sorted(set(labels) - {""})
  ids, class_names = {name: numerals.whole(name) for name in given}, ()
  if None in ids.values():
    ids, class_names = {name: i for i, name in enumerate(given)}, tuple(given)
  wrong = {name for name, i in ids.items() if not 0 <= i <= _MAX_LABEL}
  if wrong:
    row = next(i for i, name in enumerate(labels) if name in wrong)
    raise manifest.error(
      lines[row],
      f"label {labels[row]}; expected a class id from 0 to {_MAX_LABEL}, a"
      " name, or an empty cell if it is unknown",
    )
  ids[""] = -1
  return np.array([ids[name] for name in labels], np.int32), class_names
