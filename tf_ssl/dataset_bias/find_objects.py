"""Writes the estimated boxes of a folder's objects, for croppers."""

import csv
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.dataset_bias import estimate, objectness
from tf_ssl.datasets import manifest, open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import names, workdir

BOXES_FILE = "boxes.csv"
_ARGUMENT = "--output_dir"


class Found(NamedTuple):
  """What was found.

  Attributes:
    path: path of the file with the boxes.
    images: number of images in it.
    boxes: number of boxes.
    without: number of its images without a box.
    skipped: reasons by name of the images that could not be read.
  """

  path: str
  images: int
  boxes: int
  without: int
  skipped: dict[str, str]


def find_objects(
  images: str,
  output_dir: str,
  *,
  max_boxes: int = 5,
  max_skipped_fraction: float = 0.05,
  say: Callable[[str], None] = lambda line: None,
) -> Found:
  """Finds objects as `objectness.find` does and writes a manifest of boxes.

  An interrupted call can be repeated: found regions are kept in
  `output_dir`/regions.

  Args:
    images: folder of images, or another source with one file for each image.
    output_dir: folder to write `BOXES_FILE` to, with paths relative to the
      folder of the images.
    max_boxes: largest number of boxes of an image, those that score highest.
    max_skipped_fraction: largest share of unreadable images, 0..1.
    say: takes a line for each reason to skip images.

  Raises:
    UsageError: a setting is out of range, the images are records in shards, too
      many of them cannot be read, none has a region, or the folder cannot be
      written.
  """
  errors.require(max_boxes >= 1, f"max_boxes={max_boxes}: expected at least 1")
  records = open_images.open_images(images, named_by="--images")
  errors.require(
    records.shards is None,
    f"--images={images}: expected a folder of image files, or a manifest;"
    " boxes belong to files",
  )
  key = {
    "digest": records_lib.digest(records),
    "method": ["proposals", objectness.VERSION],
  }
  with workdir.writable(output_dir, _ARGUMENT):
    os.makedirs(output_dir, exist_ok=True)
    store = estimate.RegionFiles(
      os.path.join(output_dir, estimate.REGIONS_FOLDER), key
    )
    regions = estimate.find_all(
      records, np.arange(records.num_images), estimate.proposals, store
    )
  skipped = skipped_lib.SkippedFiles(
    None, records.num_images, max_skipped_fraction
  )
  rows, without, count = [], 0, 0
  for index, found in enumerate(regions):
    name = records.name(index)
    if found.problem:
      skipped.add(name, found.problem)
      continue
    boxes = _whole(found.boxes[:max_boxes], found.size)
    rows += [[name, *box] for box in boxes] or [[name, *[""] * 4]]
    without += not boxes
    count += len(boxes)
  errors.require(
    count,
    f"--images={images}: no region stands out in any of"
    f" {records.num_images - skipped.count} images; expected photographs",
  )
  for name, reason in skipped.reasons.items():
    say(f"skipped {names.escaped(name)}: {reason}")
  path = os.path.join(output_dir, BOXES_FILE)
  with (
    workdir.writable(output_dir, _ARGUMENT),
    workdir.replacing_file(path) as temporary,
    open(
      temporary, "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file,
  ):
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["path", *manifest.BOX])
    writer.writerows(rows)
  return Found(
    path, records.num_images - skipped.count, count, without, skipped.reasons
  )


def _whole(boxes: np.ndarray, size: np.ndarray) -> list[list[int]]:
  """Boxes in whole pixels, at least one on a side, inside the image."""
  height, width = size.tolist()
  low = np.floor(boxes[:, :2] + 1e-6).clip(0, [width - 1, height - 1])
  high = np.ceil(boxes[:, 2:] - 1e-6).clip(low + 1, [width, height])
  return np.concatenate([low, high], 1).astype(int).tolist()
