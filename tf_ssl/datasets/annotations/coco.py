"""COCO: images with the boxes of their objects, listed in one JSON file.

Lin et al. 2014; many other datasets are written in this format. Of the file,
`images` (id, file_name, width, height), `categories` (id, name) and
`annotations` (image_id, category_id, bbox as x, y, width, height, iscrowd,
area) are read.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from tf_ssl import errors
from tf_ssl.datasets.annotations import annotations
from tf_ssl.datasets.annotations import (
  collector as annotation_collector,
)

_EXPECTED = (
  "the images that the annotations name. For COCO: "
  "http://images.cocodataset.org/zips/train2017.zip (118,287 images, 18 GB) "
  "and val2017.zip (5,000, 1 GB); annotations/instances_*2017.json are in "
  "http://images.cocodataset.org/annotations/annotations_trainval2017.zip "
  "(241 MB). Or change the folder of images"
)
_PARTS = ("images", "categories", "annotations")


def read(
  annotation_file: str | None,
  images: str | None,
  *,
  max_skipped_fraction: float = 0.05,
) -> annotations.Annotations | None:
  """Lists the images of an annotation file, in its order.

  Images without a box are among them. Classes follow the numbers of the
  categories.

  Args:
    annotation_file: such as instances_train2017.json; None for no dataset.
    images: the folder that the file names are relative to.
    max_skipped_fraction: the share of images, and of boxes, above which those
      that cannot be used are an error.

  Returns:
    The annotations; None without `annotation_file`.

  Raises:
    UsageError: the file is not what it should be, an id is there twice, or too
      many images or boxes cannot be used; says where to get them.
  """
  if annotation_file is None:
    return None
  if images is None:
    raise errors.UsageError(
      f"{annotation_file}: no folder of images was given; expected the one "
      "that its file names are relative to"
    )
  content = _load(os.path.expanduser(annotation_file))
  categories = _categories(annotation_file, content["categories"])
  collector = annotation_collector.AnnotationCollector(images)
  places = _add_images(annotation_file, collector, content["images"])
  numbers = {number: i for i, number in enumerate(sorted(categories))}
  for position, entry in enumerate(content["annotations"]):
    _add_box(collector, position, entry, places, numbers)
  return collector.build(
    source=f"COCO {os.path.basename(annotation_file)}",
    class_names=[categories[number] for number in sorted(categories)],
    category_ids=sorted(categories),
    expected=_EXPECTED,
    max_skipped_fraction=max_skipped_fraction,
  )


def _load(file: str) -> dict[str, list]:
  """The parts of the file, each a list."""
  try:
    with open(file, encoding="utf-8") as stream:
      content = json.load(stream)
  except OSError as error:
    raise errors.UsageError(
      f"COCO: cannot read {file!r} ({error.strerror}); expected an annotation "
      "file such as instances_train2017.json, which is in "
      "http://images.cocodataset.org/annotations/annotations_trainval2017.zip "
      "(241 MB)"
    ) from error
  except (ValueError, RecursionError) as error:
    raise errors.UsageError(
      f"COCO: {file!r} is not JSON ({str(error)[:80]}); expected an annotation "
      "file such as instances_train2017.json"
    ) from error
  found = content if isinstance(content, dict) else {}
  missing = [n for n in _PARTS if not isinstance(found.get(n), list)]
  if missing:
    raise errors.UsageError(
      f"COCO: {file!r} has no list {' and no list '.join(missing)}; expected "
      f"an object with the lists {', '.join(_PARTS)}"
    )
  return found


def _categories(file: str, entries: list) -> dict[int, str]:
  """From the number of each category to its name."""
  found: dict[int, str] = {}
  for entry in entries:
    number, name = _field(entry, "id"), _field(entry, "name")
    if not _is_whole(number) or not isinstance(name, str) or not name:
      raise errors.UsageError(
        f"COCO: a category of {file!r} is {str(entry)[:80]}; expected an id "
        "and a name"
      )
    if number in found or name in found.values():
      raise errors.UsageError(
        f"COCO: category {number} ({name!r}) is in {file!r} twice; expected "
        "every id and every name once"
      )
    found[number] = name
  return found


def _add_images(
  file: str,
  collector: annotation_collector.AnnotationCollector,
  entries: list,
) -> dict[int | str, int | None]:
  """From the id of each image to its index; None if it was left out."""
  places: dict[int | str, int | None] = {}
  for position, entry in enumerate(entries):
    image_id, name = _field(entry, "id"), _field(entry, "file_name")
    if not _is_id(image_id) or not isinstance(name, str):
      collector.skip_image(
        "an image without id or file_name", f"image {position}"
      )
      continue
    if image_id in places:
      raise errors.UsageError(
        f"COCO: the image id {image_id!r} is in {file!r} twice; expected every "
        "id once"
      )
    sides = _field(entry, "width"), _field(entry, "height")
    known = all(_is_whole(side) and side > 0 for side in sides)
    places[image_id] = collector.add_image(
      name, image_id, sides if known else None
    )
  return places


def _add_box(
  collector: annotation_collector.AnnotationCollector,
  position: int,
  entry: Any,
  places: dict[int | str, int | None],
  numbers: dict[int, int],
) -> None:
  name = f"annotation {_field(entry, 'id') or f'at place {position}'}"
  image_id, category = _field(entry, "image_id"), _field(entry, "category_id")
  box, area = _field(entry, "bbox"), _field(entry, "area")
  if not _is_id(image_id) or image_id not in places:
    collector.skip_box("an annotation of an image that is not listed", name)
    return
  if places[image_id] is None:  # counted already, as an image
    collector.skip("an annotation of an image that was left out", name)
    return
  if not _is_whole(category) or category not in numbers:
    collector.skip_box(
      "unknown category", f"{name} (category {str(category)[:20]})"
    )
    return
  if not (
    isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))
  ):
    collector.skip_box("an annotation without a box of 4 numbers", name)
    return
  x, y, width, height = box
  collector.add_box(
    places[image_id],
    (x, y, x + width, y + height),
    numbers[category],
    name,
    crowd=_field(entry, "iscrowd") in (1, True),
    area=area if _is_number(area) else None,
  )


def _field(entry: Any, name: str) -> Any:
  return entry.get(name) if isinstance(entry, Mapping) else None


def _is_number(value: Any) -> bool:
  # An integer of many digits has no float.
  return (
    isinstance(value, int | float)
    and not isinstance(value, bool)
    and abs(value) < 2**63
  )


def _is_whole(value: Any) -> bool:
  return isinstance(value, int) and _is_number(value)


def _is_id(value: Any) -> bool:
  return isinstance(value, str) or _is_whole(value)
