"""A CSV file that lists boxes of objects, one per row."""

import os

from tf_ssl import errors
from tf_ssl.datasets import manifest
from tf_ssl.datasets.annotations import annotations, collector
from tf_ssl.ops import names as names_lib

_ONE_CLASS = "object"


def read(
  file: str,
  images: str | None = None,
  *,
  max_skipped_fraction: float = 0.05,
) -> annotations.Annotations:
  """Lists the images of a manifest, in the order of their first rows.

  The columns are those of `manifest.read`. An image has one row per object; an
  image without objects has one row with four empty box cells. Without the
  column `label`, all objects are of one class. Image sizes are read from the
  images' headers.

  Args:
    file: path of the CSV file.
    images: folder that paths are relative to; None for the manifest's folder.
    max_skipped_fraction: maximum fraction of skipped images, and of skipped
      boxes.

  Raises:
    UsageError: the manifest is malformed, has no box columns or names a missing
      image, or too many images or boxes cannot be used.
  """
  rows = manifest.read(file, root=images)
  if rows.boxes is None:
    raise errors.UsageError(
      f"annotations: {file} has no boxes; expected the columns"
      " path[,label],xmin,ymin,xmax,ymax"
    )
  collected = collector.Collector(rows.root)
  names, ids = (_ONE_CLASS,), {0: 0}
  if rows.labels is not None:
    known = sorted(set(rows.labels.tolist()) - {-1})
    # Labels that are numbers have no names.
    names = tuple(
      names_lib.unescaped(rows.class_names[i]) if rows.class_names else str(i)
      for i in known
    )
    ids = {label: i for i, label in enumerate(known)}
  image_index: dict[str, int | None] = {}
  for row in range(rows.num_images):
    name = rows.name(row)
    if name not in image_index:
      image_index[name] = collected.add_image(name, name, None)
    corners = rows.boxes[row].tolist()
    if corners[0] < 0:
      continue
    box = f"{name}, box {','.join(map(str, corners))}"
    label = 0 if rows.labels is None else int(rows.labels[row])
    if image_index[name] is None:  # Counted as an image.
      collected.skip("a box of a skipped image", box)
    elif label not in ids:
      collected.skip_box("a box without a class", box, image=image_index[name])
    else:
      collected.add_box(image_index[name], corners, ids[label], box)
  return collected.build(
    source=f"manifest {os.path.basename(file)}",
    class_names=names,
    expected="a manifest path[,label],xmin,ymin,xmax,ymax of images",
    max_skipped_fraction=max_skipped_fraction,
  )
