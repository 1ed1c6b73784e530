"""COCO: images with the boxes of their objects, listed in one JSON file.

Lin et al. 2014; many other datasets use this format. The fields read are
`images` (id, file_name, width, height), `categories` (id, name) and
`annotations` (image_id, category_id, bbox as x, y, width, height, iscrowd,
area).
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from tf_ssl import errors
from tf_ssl.datasets.annotations import annotations, collector

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

  Images without boxes are included. Class ids follow the category ids.

  Args:
    annotation_file: path of the JSON file, such as instances_train2017.json;
      None for no dataset.
    images: folder that file names are relative to.
    max_skipped_fraction: maximum fraction of skipped images, and of skipped
      boxes.

  Returns:
    The annotations; None without `annotation_file`.

  Raises:
    UsageError: the file is malformed, an id is repeated, there are no images,
      with where to get them, or too many images or boxes cannot be used.
  """
  if annotation_file is None:
    return None
  if images is None:
    raise errors.UsageError(
      f"{annotation_file}: no folder of images was given; expected the folder"
      " that its file names are relative to"
    )
  content = _load(os.path.expanduser(annotation_file))
  categories = _categories(annotation_file, content["categories"])
  collected = collector.Collector(images)
  image_index = _add_images(annotation_file, collected, content["images"])
  class_ids = {number: i for i, number in enumerate(sorted(categories))}
  for position, entry in enumerate(content["annotations"]):
    _add_box(collected, position, entry, image_index, class_ids)
  return collected.build(
    source=f"COCO {os.path.basename(annotation_file)}",
    class_names=[categories[number] for number in sorted(categories)],
    category_ids=sorted(categories),
    expected=_EXPECTED,
    max_skipped_fraction=max_skipped_fraction,
  )


def _load(file: str) -> dict[str, list]:
  """Returns the lists of the file by name."""
  try:
    with open(file, encoding="utf-8") as stream:
      content = json.load(stream)
  except OSError as error:
    raise errors.UsageError(
      f"COCO: cannot read {file!r} ({error.strerror}); expected an annotation"
      " file such as instances_train2017.json from"
      " http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
      " (241 MB)"
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
  """Returns category names by id."""
  found: dict[int, str] = {}
  for entry in entries:
    number, name = _field(entry, "id"), _field(entry, "name")
    if not _is_whole(number) or not isinstance(name, str) or not name:
      raise errors.UsageError(
        f"COCO: a category of {file!r} is {str(entry)[:80]}; expected an id"
        " and a name"
      )
    if number in found or name in found.values():
      raise errors.UsageError(
        f"COCO: {file!r} has category {number} ({name!r}) twice; expected"
        " unique ids and names"
      )
    found[number] = name
  return found


def _add_images(
  file: str,
  collected: collector.Collector,
  entries: list,
) -> dict[int | str, int | None]:
  """Returns the index of each image by its id; None if it is skipped."""
  image_index: dict[int | str, int | None] = {}
  for position, entry in enumerate(entries):
    image_id, name = _field(entry, "id"), _field(entry, "file_name")
    if not _is_id(image_id) or not isinstance(name, str):
      collected.skip_image(
        "an image without id or file_name", f"image {position}"
      )
      continue
    if image_id in image_index:
      raise errors.UsageError(
        f"COCO: {file!r} has the image id {image_id!r} twice; expected unique"
        " ids"
      )
    sides = _field(entry, "width"), _field(entry, "height")
    known = all(_is_whole(side) and side > 0 for side in sides)
    image_index[image_id] = collected.add_image(
      name, image_id, sides if known else None
    )
  return image_index


def _add_box(
  collected: collector.Collector,
  position: int,
  entry: Any,
  image_index: dict[int | str, int | None],
  class_ids: dict[int, int],
) -> None:
  name = f"annotation {_field(entry, 'id') or f'at position {position}'}"
  image_id, category = _field(entry, "image_id"), _field(entry, "category_id")
  box, area = _field(entry, "bbox"), _field(entry, "area")
  if not _is_id(image_id) or image_id not in image_index:
    collected.skip_box("an annotation of an unlisted image", name)
    return
  if image_index[image_id] is None:  # Counted as an image.
    collected.skip("an annotation of a skipped image", name)
    return
  if not _is_whole(category) or category not in class_ids:
    collected.skip_box(
      "unknown category", f"{name} (category {str(category)[:20]})"
    )
    return
  if not (
    isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))
  ):
    collected.skip_box("an annotation without a box of 4 numbers", name)
    return
  x, y, width, height = box
  collected.add_box(
    image_index[image_id],
    (x, y, x + width, y + height),
    class_ids[category],
    name,
    crowd=_field(entry, "iscrowd") in (1, True),
    area=area if _is_number(area) else None,
  )


def _field(entry: Any, name: str) -> Any:
  return entry.get(name) if isinstance(entry, Mapping) else None


def _is_number(value: Any) -> bool:
  # Very large integers cannot be converted to float.
  return (
    isinstance(value, int | float)
    and not isinstance(value, bool)
    and abs(value) < 2**63
  )


def _is_whole(value: Any) -> bool:
  return isinstance(value, int) and _is_number(value)


def _is_id(value: Any) -> bool:
  return isinstance(value, str) or _is_whole(value)
