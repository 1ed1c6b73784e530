"""COCO: images with the boxes of their objects, listed in one JSON file.

Lin et al. 2014; many other datasets use this format. The fields read are
`images` (id, file_name, width, height), `categories` (id, name) and
`annotations` (image_id, category_id, bbox as x, y, width, height, iscrowd,
area, segmentation). Numbers may also be floats or text.
"""

import json
import math
import os
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import missing
from tf_ssl.datasets.annotations import annotations, collector
from tf_ssl.ops import numerals, spelling

_EXPECTED = (
  "the images that the annotations name. For COCO: "
  "http://images.cocodataset.org/zips/train2017.zip (118,287 images, 18 GB) "
  "and val2017.zip (5,000, 1 GB); annotations/instances_*2017.json are in "
  "http://images.cocodataset.org/annotations/annotations_trainval2017.zip "
  "(241 MB). Or change the folder of images"
)
_PARTS = ("images", "categories", "annotations")


class Outlined(NamedTuple):
  """An image with the segmentations of its objects.

  Attributes:
    file: path below the folder of the images.
    size: width and height in the annotation file, pixels; None if it has none.
    objects: name and segmentation of each object that is no crowd, unchecked:
      polygons or RLE, or anything else that is in the file.
  """

  file: str
  size: tuple[int, int] | None
  objects: list[tuple[str, Any]]


class Outlines(NamedTuple):
  """Segmentations of the objects in N images.

  Attributes:
    root: absolute path of the folder of the images.
    images: [N], images with their objects.
    skipped: names of skipped images and objects, by reason.
  """

  root: str
  images: list[Outlined]
  skipped: dict[str, list[str]]


def read(
  annotation_file: str | None,
  images: str | None,
  *,
  max_skipped_fraction: float = 0.05,
) -> annotations.Annotations | None:
  """Lists the images of an annotation file, in its order.

  Images without boxes are included. Class ids follow the category ids;
  categories of one name are one class.

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
  used = {
    numerals.whole(_field(entry, "category_id"))
    for entry in content["annotations"]
  }
  categories, same = _categories(annotation_file, content["categories"], used)
  collected = collector.Collector(images)
  image_index = _add_images(annotation_file, collected, content["images"])
  class_ids = {number: i for i, number in enumerate(sorted(categories))}
  class_ids |= {number: class_ids[kept] for number, kept in same.items()}
  numbers = _by_number(image_index)
  for position, entry in enumerate(content["annotations"]):
    _add_box(collected, position, entry, image_index, numbers, class_ids)
  return collected.build(
    source=f"COCO {os.path.basename(annotation_file)}",
    class_names=[categories[number] for number in sorted(categories)],
    category_ids=sorted(categories),
    expected=_EXPECTED,
    max_skipped_fraction=max_skipped_fraction,
  )


def read_outlines(annotation_file: str, images: str) -> Outlines:
  """Lists the images of an annotation file with their segmentations.

  Boxes and categories are not looked at. Crowds, and images that are not in the
  folder, are skipped.

  Args:
    annotation_file: path of the JSON file, such as instances_train2017.json.
    images: folder that file names are relative to.

  Raises:
    UsageError: the file is malformed, an id is repeated, or there are no
      images.
  """
  content = _load(os.path.expanduser(annotation_file))
  collected = collector.Collector(images)
  image_index = _add_images(annotation_file, collected, content["images"])
  found = [Outlined(file, size, []) for file, size in collected.listed()]
  if not found:
    raise missing.no_images(
      f"COCO {os.path.basename(annotation_file)}",
      collected.root,
      _EXPECTED,
      collected.skipped,
    )
  numbers = _by_number(image_index)
  for position, entry in enumerate(content["annotations"]):
    name = _name(position, entry)
    image = _find_image(collected, name, entry, image_index, numbers)
    if image is None:
      continue
    if _is_crowd(entry):
      collected.skip("a crowd", name)
    else:
      found[image].objects.append((name, _field(entry, "segmentation")))
  return Outlines(collected.root, found, collected.skipped)


def _load(file: str) -> dict[str, list]:
  """Returns the lists of the file by name."""
  try:
    with open(file, "rb") as stream:
      content = json.loads(stream.read())  # UTF-8, UTF-16 or UTF-32.
  except OSError as error:
    raise errors.UsageError(
      f"COCO: cannot read {file!r} ({error.strerror}); expected an annotation"
      " file such as instances_train2017.json from"
      " http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
      " (241 MB)"
    ) from error
  except Exception as error:  # Nesting and huge numbers have errors, too.
    raise errors.UsageError(
      f"COCO: {file!r} is not JSON ({str(error)[:80]}); expected an annotation "
      "file such as instances_train2017.json"
    ) from error
  found = content if isinstance(content, dict) else {}
  absent = [n for n in _PARTS if not isinstance(found.get(n), list)]
  if absent:
    raise errors.UsageError(
      f"COCO: {file!r} has no list {' and no list '.join(absent)}; expected "
      f"an object with the lists {', '.join(_PARTS)}"
    )
  return found


def _categories(
  file: str, entries: list, used: set[int | None]
) -> tuple[dict[int, str], dict[int, int]]:
  """Returns the class names by id, and further ids by the id they equal.

  Args:
    file: path of the annotation file, for errors.
    entries: list of categories.
    used: ids of categories that annotations name. Exports may list a name
      twice, first as a group without objects, then as a class.
  """
  found: dict[int, str] = {}
  for entry in entries:
    number, name = numerals.whole(_field(entry, "id")), _field(entry, "name")
    if number is None or not isinstance(name, str) or not name:
      raise errors.UsageError(
        f"COCO: a category of {file!r} is {reprlib.repr(entry)}; expected an id"
        " (a whole number) and a name"
      )
    name = spelling.key(name)
    if found.setdefault(number, name) != name:
      raise errors.UsageError(
        f"COCO: {file!r} has category {number} twice ({found[number]!r},"
        f" {name!r}); expected unique ids"
      )
  same: dict[int, int] = {}
  for name in sorted(set(found.values())):
    numbers = sorted(number for number in found if found[number] == name)
    kept = next((n for n in numbers if n in used), numbers[-1])
    if len(numbers) > 1:
      logging.warning(
        "COCO: %r has category %r with the ids %s; read as one class, id %d",
        file,
        name,
        numbers,
        kept,
      )
    same |= {number: kept for number in numbers if number != kept}
  return {n: name for n, name in found.items() if n not in same}, same


def _add_images(
  file: str,
  collected: collector.Collector,
  entries: list,
) -> dict[int | str, int | None]:
  """Returns the index of each image by its id; None if it is skipped."""
  image_index: dict[int | str, int | None] = {}
  for position, entry in enumerate(entries):
    image_id, name = _id(_field(entry, "id")), _field(entry, "file_name")
    if image_id is None or not isinstance(name, str):
      collected.skip_image(
        "an image without id or file_name", f"image {position}"
      )
      continue
    if image_id in image_index:
      raise errors.UsageError(
        f"COCO: {file!r} has the image id {image_id!r} twice; expected unique"
        " ids"
      )
    size = _field(entry, "width"), _field(entry, "height")
    image_index[image_id] = collected.add_image(name, image_id, size)
  return image_index


def _by_number(ids: Iterable[int | str]) -> dict[int, int | str]:
  """Returns the ids by their numbers, for 7 that is "7" elsewhere."""
  found: dict[int, int | str] = {}
  ambiguous = set()
  for one in ids:
    number = numerals.whole(one)
    if found.setdefault(number, one) != one:
      ambiguous.add(number)
  return {n: one for n, one in found.items() if n not in {None, *ambiguous}}


def _add_box(
  collected: collector.Collector,
  position: int,
  entry: Any,
  image_index: dict[int | str, int | None],
  numbers: dict[int, int | str],
  class_ids: dict[int, int],
) -> None:
  name, category = _name(position, entry), _field(entry, "category_id")
  box, area = _field(entry, "bbox"), numerals.number(_field(entry, "area"))
  image = _find_image(collected, name, entry, image_index, numbers)
  if image is None:
    return
  class_id = class_ids.get(numerals.whole(category))
  if class_id is None:
    collected.skip_box(
      "unknown category", f"{name} (category {reprlib.repr(category)[:20]})"
    )
    return
  sides = list(map(numerals.number, box)) if isinstance(box, list) else []
  if len(sides) != 4 or not all(
    s is not None and math.isfinite(s) for s in sides
  ):
    collected.skip_box(
      "an annotation without a box of 4 numbers",
      name,
      image=image,
      class_id=class_id,
    )
    return
  x, y, width, height = sides
  collected.add_box(
    image,
    (x, y, x + width, y + height),
    class_id,
    name,
    crowd=_is_crowd(entry),
    area=area,
  )


def _find_image(
  collected: collector.Collector,
  name: str,
  entry: Any,
  image_index: dict[int | str, int | None],
  numbers: dict[int, int | str],
) -> int | None:
  """Returns the index of an annotation's image; None if there is none."""
  image_id = _id(_field(entry, "image_id"))
  if image_id not in image_index:
    image_id = numbers.get(numerals.whole(image_id))
  if image_id is None:
    collected.skip_box("an annotation of an unlisted image", name)
    return None
  if image_index[image_id] is None:  # Counted as an image.
    collected.skip("an annotation of a skipped image", name)
  return image_index[image_id]


def _name(position: int, entry: Any) -> str:
  name = _id(_field(entry, "id"))
  return f"annotation {name or f'at position {position}'}"


def _is_crowd(entry: Any) -> bool:
  value = _field(entry, "iscrowd")
  return value is True or numerals.whole(value) == 1


def _field(entry: Any, name: str) -> Any:
  return entry.get(name) if isinstance(entry, Mapping) else None


def _id(value: Any) -> int | str | None:
  """Returns the id of an image or annotation; None if it is none."""
  return value if isinstance(value, str) else numerals.whole(value)
