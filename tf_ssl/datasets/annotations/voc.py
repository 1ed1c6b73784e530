"""PASCAL VOC: images with the boxes of 20 classes, in its own layout.

Everingham et al. 2010, such as VOC2007:

    JPEGImages/000005.jpg
    Annotations/000005.xml                   the objects of an image
    ImageSets/Main/chair_trainval.txt        which images show a chair

A line of the last is a name and 1 (shown), -1 (not shown) or 0 (only objects
that are marked as difficult). Where there is no file for a class but a list of
names, ImageSets/Main/trainval.txt, as other tools write it, classes and labels
are those of the objects.
"""

import os
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import image_folder, missing
from tf_ssl.datasets.annotations import annotations, safe_xml
from tf_ssl.datasets.annotations import (
  collector as annotation_collector,
)

_MAIN = os.path.join("ImageSets", "Main")
_TARGETS = {
  "1": annotations.PRESENT,
  "-1": annotations.ABSENT,
  "0": annotations.IGNORED,
}
_EXPECTED = (
  "JPEGImages/, Annotations/ and ImageSets/Main/*_{split}.txt, such as "
  "VOCdevkit/VOC2007/ (5,011 images in trainval, 4,952 in test). Download "
  "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/"
  "VOCtrainval_06-Nov-2007.tar (460 MB) and VOCtest_06-Nov-2007.tar (451 MB) "
  "and unpack both in one place; or change VOC"
)


class _Object(NamedTuple):
  """One object of an annotation; the corners are None if unreadable."""

  class_name: str
  corners: tuple[float, float, float, float] | None
  difficult: bool


def read(
  root: str, *, split: str, max_skipped_fraction: float = 0.05
) -> annotations.Annotations:
  """Lists the images of one split, in the order of their names.

  Args:
    root: the folder of JPEGImages/, such as VOCdevkit/VOC2007.
    split: "trainval", "test", or another one of ImageSets/Main.
    max_skipped_fraction: the share of images, and of boxes, above which those
      that cannot be used are an error.

  Raises:
    UsageError: there are no such images, or too many cannot be used; says
      where to get them.
  """
  collector = annotation_collector.AnnotationCollector(root)
  main = os.path.join(collector.root, _MAIN)
  end = f"_{split}.txt"
  classes = [
    name.removesuffix(end)
    for name in missing.list_folder(main)
    if name.endswith(end) and name != end
  ]
  labels = _class_lists(collector, main, classes, end)
  if not classes:
    labels = {name: {} for name in _names(collector, main, f"{split}.txt")}
  found = {}  # index of each image -> its name and its objects
  for name in sorted(labels):
    size, objects = _annotation(collector, name)
    index = collector.add_image(f"JPEGImages/{name}.jpg", name, size)
    if index is not None:
      found[index] = name, objects
  names = classes or sorted(
    {each.class_name for _, objects in found.values() for each in objects}
  )
  ids = {name: number for number, name in enumerate(names)}
  for index, (name, objects) in found.items():
    _add_boxes(collector, index, name, objects, ids)
  targets = None
  if classes:
    targets = np.full((len(found), len(classes)), annotations.IGNORED, np.int8)
    for index, (name, _) in found.items():
      for class_name, number in ids.items():
        target = labels[name].get(class_name)
        if target is None:
          collector.skip("no label for a class", f"{name}, {class_name}")
        else:
          targets[index, number] = target
  return collector.build(
    source=f"VOC {split}",
    class_names=names,
    targets=targets,
    expected=_EXPECTED.format(split=split),
    max_skipped_fraction=max_skipped_fraction,
  )


def read_folder(
  annotations_folder: str, images: str, *, max_skipped_fraction: float = 0.05
) -> annotations.Annotations:
  """Lists the images of all annotations in a folder, in the order of names.

  For what other tools write: XML files anywhere, no list of images. Classes are
  those of the objects.

  Args:
    annotations_folder: the folder of NAME.xml.
    images: the folder of the images, NAME with an ending of an image.
    max_skipped_fraction: as of `read`.

  Raises:
    UsageError: as of `read`.
  """
  collector = annotation_collector.AnnotationCollector(images)
  names = [
    name.removesuffix(".xml")
    for name in missing.list_folder(annotations_folder)
    if name.endswith(".xml")
  ]
  files = {}
  for file in missing.list_folder(collector.root):
    if os.fsencode(file).lower().endswith(image_folder.EXTENSIONS):
      files.setdefault(os.path.splitext(file)[0], file)
  found = {}
  for name in names:
    size, objects = _annotation(collector, name, annotations_folder)
    index = collector.add_image(files.get(name, f"{name}.jpg"), name, size)
    if index is not None:
      found[index] = name, objects
  class_names = sorted(
    {each.class_name for _, objects in found.values() for each in objects}
    - {""}
  )
  ids = {name: number for number, name in enumerate(class_names)}
  for index, (name, objects) in found.items():
    _add_boxes(collector, index, name, objects, ids)
  folder = os.path.basename(os.path.abspath(annotations_folder))
  return collector.build(
    source=f"VOC XML of {folder}",
    class_names=class_names,
    expected=(
      f"NAME.xml with objects in {annotations_folder!r}, and an image NAME.jpg "
      "for each; or change the folders of annotations and of images"
    ),
    max_skipped_fraction=max_skipped_fraction,
  )


def _class_lists(
  collector: annotation_collector.AnnotationCollector,
  main: str,
  classes: list[str],
  end: str,
) -> dict[str, dict[str, int]]:
  """From names of images to {class: target}."""
  labels: dict[str, dict[str, int]] = {}
  for class_name in classes:
    for number, line in enumerate(_lines(main, class_name + end), 1):
      words = line.split()
      if not words:
        continue
      if len(words) != 2 or words[1] not in _TARGETS or not _plain(words[0]):
        collector.skip(
          "a line that is not a name and 1, 0 or -1",
          f"{class_name}{end}, line {number}",
        )
        continue
      labels.setdefault(words[0], {})[class_name] = _TARGETS[words[1]]
  return labels


def _names(
  collector: annotation_collector.AnnotationCollector, main: str, file: str
) -> list[str]:
  """The names of images in a list without classes; none if it is missing."""
  if not os.path.exists(os.path.join(main, file)):
    return []
  names = []
  for number, line in enumerate(_lines(main, file), 1):
    words = line.split()
    if len(words) == 1 and _plain(words[0]):
      names.append(words[0])
    elif words:
      collector.skip("a line that is not a name", f"{file}, line {number}")
  return names


def _lines(main: str, name: str) -> list[str]:
  path = os.path.join(main, name)
  try:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
      return file.read().splitlines()
  except OSError as error:
    raise errors.UsageError(
      f"VOC: cannot read {path!r} ({error.strerror}); expected a list of images"
    ) from error


def _plain(name: str) -> bool:
  return "/" not in name and "\\" not in name


def _annotation(
  collector: annotation_collector.AnnotationCollector,
  name: str,
  folder: str | None = None,
) -> tuple[tuple[int, int] | None, list[_Object]]:
  """Size and objects of an image; None and none where they cannot be read."""
  folder = folder or os.path.join(collector.root, "Annotations")
  path = os.path.join(folder, f"{name}.xml")
  try:
    root = safe_xml.parse(path)
  except FileNotFoundError:
    collector.skip("no annotation", name)
    return None, []
  except ValueError as error:
    collector.skip(f"an annotation that is {error}", name)
    return None, []
  sides = [_number(root.find("size"), side) for side in ("width", "height")]
  size = None
  if all(s is not None and 0 < s < 2**31 for s in sides):
    size = int(sides[0]), int(sides[1])
  return size, [_object(element) for element in root.findall("object")]


def _object(element: ElementTree.Element) -> _Object:
  box = element.find("bndbox")
  # VOC counts pixels from 1 and includes the last.
  corners = [
    _number(box, side, less)
    for side, less in (("xmin", 1), ("ymin", 1), ("xmax", 0), ("ymax", 0))
  ]
  return _Object(
    (element.findtext("name") or "").strip(),
    None if None in corners else tuple(corners),
    (element.findtext("difficult") or "0").strip() == "1",
  )


def _number(
  element: ElementTree.Element | None, name: str, less: float = 0
) -> float | None:
  try:
    return float(element.findtext(name)) - less
  except (AttributeError, TypeError, ValueError):
    return None


def _add_boxes(
  collector: annotation_collector.AnnotationCollector,
  index: int,
  name: str,
  objects: list[_Object],
  ids: dict[str, int],
) -> None:
  for number, found in enumerate(objects):
    where = f"{name}.xml, object {number}"
    if found.class_name not in ids or not found.class_name:
      collector.skip_box("unknown class", f"{where} ({found.class_name!r})")
    elif found.corners is None:
      collector.skip_box("an object without a box", where)
    else:
      collector.add_box(
        index,
        found.corners,
        ids[found.class_name],
        where,
        difficult=found.difficult,
      )
