"""Open Images (V4 to V7): boxes of objects, one per row of a CSV file.

Kuznetsova et al. 2020. Files such as oidv6-train-annotations-bbox.csv and
validation-annotations-bbox.csv begin

    ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,...

An image is IMAGES/ImageID.jpg, at any depth. Coordinates are fractions of the
width and height of the stored pixels, before any turn in the EXIF data. Classes
are named by LabelName, a MID such as /m/01g317. A class without a box in an
image is unknown there: only classes that were verified to be shown have boxes.
"""

import os

import numpy as np
import pandas as pd
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import image_folder, records
from tf_ssl.datasets.annotations import (
  annotations,
  collector,
  open_images_rows,
)
from tf_ssl.ops import spelling

_FILE = "a CSV file such as oidv6-train-annotations-bbox.csv"
_EXPECTED = (
  "an image ImageID.jpg, at any depth, for ImageIDs of the file (images and"
  " boxes of each split: "
  "https://storage.googleapis.com/openimages/web/download_v7.html); or change"
  " the folder of images"
)


def is_boxes(file: str) -> bool:
  """Whether the header of a file has the column ImageID, and no `path`.

  Args:
    file: path of anything, which need not exist.
  """
  if not os.path.isfile(file):
    return False
  try:
    columns = open_images_rows.header(file)
  except OSError:
    return False
  return "ImageID" in columns and "path" not in columns


def read(
  file: str, images: str, *, max_skipped_fraction: float = 0.05
) -> annotations.Annotations:
  """Lists the images of a file of boxes, in the order of their first rows.

  Groups of objects (IsGroupOf) are crowds. Rows of Confidence 0 are no objects.

  Args:
    file: path of the CSV file.
    images: folder that holds the images, at any depth.
    max_skipped_fraction: maximum fraction of skipped images, such as those that
      are not in the folder, and of skipped boxes.

  Raises:
    UsageError: the file cannot be read or lacks a column, there are no images,
      with where to get them, or too many images or boxes cannot be used.
  """
  columns = open_images_rows.header(file)
  missing = [n for n in open_images_rows.COLUMNS if n not in columns]
  errors.require(
    not missing,
    f"Open Images: {file!r} has no column {' and no column '.join(missing)};"
    f" expected {','.join(open_images_rows.COLUMNS)}, as in {_FILE}",
  )
  collected = collector.Collector(images)
  listed = image_folder.read(collected.root)
  by_id, copies = _by_id(listed)
  table = open_images_rows.Table(by_id)
  try:
    for line, block in open_images_rows.blocks(file, columns):
      table.add(line, block)
  except (OSError, pd.errors.ParserError) as error:
    raise errors.UsageError(
      f"Open Images: cannot read {file!r} ({str(error)[:80]}); expected {_FILE}"
    ) from error
  used = [i for i in table.ids if i in copies]
  if used:
    logging.warning(
      "Open Images: under %r, several images have one ImageID (%d times), such"
      " as %r and %r; boxes are read for the first",
      listed.root,
      len(used),
      listed.name(by_id[used[0]]),
      listed.name(copies[used[0]]),
    )
  image_index = _add_images(collected, listed, by_id, table)
  _add_boxes(collected, table, image_index)
  return collected.build(
    source=f"Open Images {os.path.basename(file)}",
    class_names=sorted(table.classes),
    expected=_EXPECTED,
    max_skipped_fraction=max_skipped_fraction,
  )


def _by_id(
  listed: records.ImageRecords,
) -> tuple[dict[str, int], dict[str, int]]:
  """Returns the images of a folder by their ids, and further ones of one id."""
  found: dict[str, int] = {}
  copies: dict[str, int] = {}
  files = [listed.name(i) for i in range(listed.num_images)]
  # .jpg first, as in Open Images, if there are several.
  for i in sorted(
    range(len(files)), key=lambda i: not files[i].endswith(".jpg")
  ):
    image_id = spelling.key(os.path.splitext(os.path.basename(files[i]))[0])
    if found.setdefault(image_id, i) != i:
      copies[image_id] = i
  return found, copies


def _add_images(
  collected: collector.Collector,
  listed: records.ImageRecords,
  by_id: dict[str, int],
  table: open_images_rows.Table,
) -> np.ndarray:
  """Returns the index of each image of the file; -1 if it is skipped."""
  ids = list(table.ids)
  image_index = np.full(len(ids), -1)
  elsewhere = np.bincount(table.elsewhere(), minlength=len(ids)).tolist()
  for image_id, count in zip(ids, elsewhere, strict=True):
    if image_id not in by_id:
      collected.skip_image("no such image", f"{image_id}.jpg")
      collected.skip("a row of a skipped image", image_id, count)
  here = [number for number, i in enumerate(ids) if i in by_id]
  if here:
    added = collected.add_listed(
      records.take(listed, [by_id[ids[number]] for number in here]),
      [ids[number] for number in here],
    )
    for number, index in zip(here, added, strict=True):
      if index is not None:
        image_index[number] = index
        collected.may_show(index)
  return image_index


def _add_boxes(
  collected: collector.Collector,
  table: open_images_rows.Table,
  image_index: np.ndarray,
) -> None:
  """Adds the boxes of images that are not skipped, by their numbers."""
  ids = list(table.ids)
  for line in table.absent:
    collected.skip("a row of Confidence 0", f"line {line}")
  for image, reason, name in table.unusable:
    index = None if image is None else int(image_index[image])
    if index == -1:  # Counted as an image.
      collected.skip("a row of a skipped image", ids[image])
    else:
      collected.skip_box(reason, name, image=index)
  rows = table.rows()
  index = image_index[rows.images]
  for image in rows.images[index < 0].tolist():
    collected.skip("a row of a skipped image", ids[image])
  # Classes are numbered in the order of the file; ids follow their names.
  class_ids = {name: i for i, name in enumerate(sorted(table.classes))}
  class_ids = np.array([class_ids[name] for name in table.classes], int)
  kept = np.flatnonzero(index >= 0)
  lines = rows.lines[kept]
  collected.add_boxes(
    index[kept],
    rows.fractions[kept],
    class_ids[rows.classes[kept]],
    rows.crowd[kept],
    lambda i: f"line {lines[i]}",
  )
