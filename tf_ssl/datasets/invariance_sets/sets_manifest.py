"""A CSV file that lists invariance sets of images."""

import math

import numpy as np

from tf_ssl.datasets import manifest
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.ops import names, table

IMAGE_SIZE = 224


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
  for all images of a set (by default each set is its own class); optionally
  `xmin`, `ymin`, `xmax`, `ymax`, the region to crop, as in `manifest.read`;
  optionally `value`, the factor, a number or empty if it is unknown.

  Args:
    file: path of the CSV file, UTF-8.
    invariance: name of the invariance, for reports.
    factor_name: name of `value`, for reports.
    factor_unit: unit of `value`, for reports.
    factor_period: period of cyclic values, such as 360 for angles; None for
      values that are not cyclic.
    image_size: H and W that images, or crops, are resized to.

  Raises:
    UsageError: the manifest is malformed, a set has two classes or an image is
      missing; the message names file and line.
  """
  rows = table.Table(
    file,
    item="image",
    required=("path", "set"),
    optional=(("class",), manifest.BOX, ("value",)),
  )
  paths, lines, boxes, factor = [], [], [], []
  class_of: dict[str, str] = {}
  set_of_image: list[str] = []
  for line, row in rows.rows():
    name = names.of_class(row["set"].strip())
    class_name = names.of_class(row.get("class", row["set"]).strip())
    if not class_name:
      raise rows.error(line, "no class; expected one in every row")
    first = class_of.setdefault(name, class_name)
    if first != class_name:
      raise rows.error(
        line,
        f"set {name!r} has class {class_name!r} here and {first!r} above;"
        " expected one class for all images of a set",
      )
    paths.append(row["path"])
    lines.append(line)
    set_of_image.append(name)
    factor.append(_value(rows, line, row.get("value", "")))
    if manifest.BOX[0] in row:
      boxes.append(manifest.parse_box(rows, line, row))
  images = manifest.locate(rows, paths, lines)
  if boxes:
    images = images._replace(boxes=np.array(boxes, np.int32))
  set_names = tuple(class_of)
  class_names = tuple(dict.fromkeys(class_of.values()))
  set_ids = {name: i for i, name in enumerate(set_names)}
  class_ids = {name: i for i, name in enumerate(class_names)}
  has_values = "value" in rows.columns
  return invariance_sets.InvarianceSets(
    source="manifest",
    invariance=invariance,
    images=images,
    sets=np.array([set_ids[name] for name in set_of_image], np.int32),
    classes=np.array(
      [class_ids[class_of[name]] for name in set_of_image], np.int32
    ),
    set_names=set_names,
    class_names=class_names,
    factor=np.array(factor),
    factor_name=factor_name if has_values else "",
    factor_unit=factor_unit if has_values else "",
    factor_period=factor_period if has_values else None,
    image_size=image_size,
    skipped={},
  )


def _value(rows: table.Table, line: int, cell: str) -> float:
  if not cell.strip():
    return math.nan
  try:
    value = float(cell)
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise rows.error(
      line, f"value {cell!r}; expected a number, or an empty cell if unknown"
    )
  return value
