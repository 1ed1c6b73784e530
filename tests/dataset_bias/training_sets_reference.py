"""Annotated pictures whose pixels encode their positions."""

import csv
import json

import numpy as np
from PIL import Image

from tf_ssl.dataset_bias.training_sets import (
  write as write_training_set,
)
from tf_ssl.datasets.annotations import coco


def coco_set(root, *, count=6):
  """Pictures of 60 x 40 px whose pixels encode x and y; two boxes in each."""
  (root / "images").mkdir(parents=True)
  images, boxes = [], []
  for i in range(count):
    rows, columns = np.mgrid[:40, :60]
    image = np.stack([4 * columns, 4 * rows, np.full_like(rows, 8 * i)], -1)
    Image.fromarray(image.astype(np.uint8)).save(root / f"images/{i}.png")
    images.append({"id": i, "file_name": f"{i}.png", "width": 60, "height": 40})
    boxes += [(i, 1, [10, 4, 20, 30]), (i, 2, [30, 0, 30, 10])]
  content = {
    "images": images,
    "categories": [{"id": 1, "name": "a/b"}, {"id": 2, "name": "cat"}],
    "annotations": [
      {"id": n, "image_id": i, "category_id": of, "bbox": box}
      for n, (i, of, box) in enumerate(boxes)
    ],
  }
  (root / "boxes.json").write_text(json.dumps(content))
  return coco.read(str(root / "boxes.json"), str(root / "images"))


def write(chosen, out, **settings):
  return write_training_set.write(chosen, str(out), **settings)


def rows_of(out):
  with open(out / "pictures.csv", newline="") as file:
    return list(csv.DictReader(file))


def contents(folder):
  """{path: content} of all files in a folder."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }
