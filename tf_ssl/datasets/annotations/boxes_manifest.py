"""A CSV file that lists boxes of objects, several to an image."""

import os

from tf_ssl import errors
from tf_ssl.datasets import manifest
from tf_ssl.datasets.annotations import annotations
from tf_ssl.datasets.annotations import (
  collector as annotation_collector,
)

_ONE_CLASS = "object"


def read(
  file: str,
  images: str | None = None,
  *,
  max_skipped_fraction: float = 0.05,
) -> annotations.Annotations:
  """Lists the images of a manifest, in the order of their first rows.

  The file is one of `manifest.read` with a box a row: an image with several
  objects has several rows, one with four empty cells has none. Without the
  column `label` all objects are of one class; the sizes of images are read from
  their headers.

  Args:
    file: the CSV file.
    images: the folder that paths are relative to; None for the manifest's.
    max_skipped_fraction: the share of images, and of boxes, above which those
      that cannot be used are an error.

  Raises:
    UsageError: the manifest is malformed, has no boxes or names an image that
      is not there; too much cannot be used.
  """
  rows = manifest.read(file, root=images)
  if rows.boxes is None:
    raise errors.UsageError(
      f"annotations: {file} has no boxes; expected the columns "
      "path[,label],xmin,ymin,xmax,ymax"
    )
  collector = annotation_collector.AnnotationCollector(rows.root)
  names, ids = (_ONE_CLASS,), {0: 0}
  if rows.labels is not None:
    known = sorted(set(rows.labels.tolist()) - {-1})
    # Labels that are numbers have no names.
    names = tuple(
      rows.class_names[i] if rows.class_names else str(i) for i in known
    )
    ids = {label: number for number, label in enumerate(known)}
  places: dict[str, int | None] = {}
  for row in range(rows.num_images):
    name = rows.name(row)
    if name not in places:
      places[name] = collector.add_image(name, name, None)
    box, place = rows.boxes[row], places[name]
    if box[0] < 0:
      continue
    where = f"{name}, box {','.join(map(str, box.tolist()))}"
    label = 0 if rows.labels is None else int(rows.labels[row])
    if place is None:
      collector.skip("a box of an image that was left out", where)
    elif label not in ids:
      collector.skip_box("a box without a class", where)
    else:
      collector.add_box(place, box.tolist(), ids[label], where)
  return collector.build(
    source=f"manifest {os.path.basename(file)}",
    class_names=names,
    expected="a manifest path[,label],xmin,ymin,xmax,ymax of images",
    max_skipped_fraction=max_skipped_fraction,
  )
