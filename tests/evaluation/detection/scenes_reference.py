"""Small pictures of bright rectangles on noise, with COCO's JSON of them."""

import json

import numpy as np
from PIL import Image

from tf_ssl.datasets.annotations import coco

COLORS = {3: (240, 60, 40), 18: (40, 80, 240)}  # by category
CATEGORIES = {3: "car", 18: "dog"}


def write(folder, boxes, sides=(64, 64), **changes):
  """Writes images and their JSON.

  Args:
    folder: a path, where `images` and `boxes.json` will be.
    boxes: for each image, a list of (category, x, y, width, height) in pixels.
    sides: height and width of the images.
    changes: fields to set in every annotation.

  Returns:
    `annotations.Annotations`.
  """
  images = folder / "images"
  images.mkdir(parents=True)
  rng = np.random.default_rng(0)
  content = {"images": [], "annotations": []}
  content["categories"] = [
    {"id": number, "name": name} for number, name in CATEGORIES.items()
  ]
  for number, objects in enumerate(boxes):
    picture = rng.integers(90, 130, [*sides, 3], np.uint8)
    for category, x, y, width, height in objects:
      picture[y : y + height, x : x + width] = COLORS[category]
      content["annotations"].append(
        {
          "id": len(content["annotations"]) + 1,
          "image_id": 100 + number,
          "category_id": category,
          "bbox": [x, y, width, height],
          "area": width * height,
          "iscrowd": 0,
          **changes,
        }
      )
    name = f"{number:03d}.png"
    Image.fromarray(picture).save(images / name)
    content["images"].append(
      {
        "id": 100 + number,
        "file_name": name,
        "height": sides[0],
        "width": sides[1],
      }
    )
  (folder / "boxes.json").write_text(json.dumps(content))
  return read(folder)


def read(folder):
  """Reads what `write` wrote."""
  return coco.read(str(folder / "boxes.json"), str(folder / "images"))
