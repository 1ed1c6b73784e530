"""A rendered scene as files: a picture, its classes by pixel, its boxes."""

import csv
import io
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np

from tf_ssl.rendering import categories, scripts, video_files, videos

# Of a pixel that shows no object; category number c is 1 + c.
NO_OBJECT = 0
ANNOTATIONS = "annotations.json"
CLASSES = "classes.json"


def file_names(number: int) -> tuple[str, str, str]:
  """Names of the files of a scene: image, mask, boxes."""
  return (
    f"images/{number:06d}.png",
    f"masks/{number:06d}.png",
    video_files.boxes_name(number),
  )


def write(
  folder: pathlib.Path,
  number: int,
  *,
  seed: int,
  index: int,
  image_size: tuple[int, int],
) -> Iterator[None]:
  """Renders a scene into its three files.

  Args:
    folder: where they go; the folders of `file_names` are there.
    number: of the scene, for its names.
    seed: of the world.
    index: of the video in that world whose first frame it is.
    image_size: H and W.

  Yields:
    Once, for a progress bar.

  Raises:
    OSError: if a file cannot be written.
  """
  script = scripts.random_script(seed, index)
  size = videos.size_of(image_size)
  (frame,) = videos.frames(script, 1, seed, size, 1.0)
  names = [categories.CATEGORIES[actor.category] for actor in script.actors]
  # Which object is seen, 0 for none -> its class.
  classes = [NO_OBJECT, *(1 + actor.category for actor in script.actors)]
  mask = np.uint8(classes)[frame.mask]
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(video_files.COLUMNS)
  writer.writerows(video_files.rows_of(0, frame, names))
  folder = pathlib.Path(folder)
  image_name, mask_name, boxes_name = file_names(number)
  (folder / image_name).write_bytes(_png(frame.image[..., ::-1]))
  (folder / mask_name).write_bytes(_png(mask))
  (folder / boxes_name).write_text(text.getvalue())
  yield


def write_annotations(
  folder: pathlib.Path, numbers: Iterable[int], image_size: tuple[int, int]
) -> None:
  """Gathers the boxes of all scenes in COCO's format, and names the classes.

  Args:
    folder: that `write` has written to.
    numbers: of the scenes.
    image_size: H and W.
  """
  folder = pathlib.Path(folder)
  content: dict[str, Any] = {
    "images": [],
    "annotations": [],
    "categories": [
      {"id": 1 + i, "name": name}
      for i, name in enumerate(categories.CATEGORIES)
    ],
  }
  for number in numbers:
    image_name, _, boxes_name = file_names(number)
    content["images"].append(
      {
        "id": number,
        "file_name": pathlib.PurePath(image_name).name,
        "height": image_size[0],
        "width": image_size[1],
      }
    )
    with open(folder / boxes_name, newline="", encoding="utf-8") as file:
      for row in csv.DictReader(file):
        xmin, ymin, xmax, ymax = (
          int(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        width, height = xmax - xmin, ymax - ymin
        content["annotations"].append(
          {
            "id": 1 + len(content["annotations"]),
            "image_id": number,
            "category_id": 1 + categories.CATEGORIES.index(row["category"]),
            "bbox": [xmin, ymin, width, height],
            "area": width * height,
            "iscrowd": 0,
          }
        )
  (folder / ANNOTATIONS).write_text(json.dumps(content))
  names = {"0": "no object"}
  names |= {str(c["id"]): c["name"] for c in content["categories"]}
  (folder / CLASSES).write_text(json.dumps(names))


def _png(pixels: np.ndarray) -> bytes:
  done, data = cv2.imencode(".png", pixels)
  if not done:
    raise RuntimeError("a rendered scene cannot be encoded.")
  return data.tobytes()
