"""PASCAL VOC: images with the boxes of 20 classes, in its own layout.

Everingham et al. 2010, for example VOC2007:

    JPEGImages/000005.jpg
    Annotations/000005.xml                   the objects of an image
    ImageSets/Main/chair_trainval.txt        which images show a chair

A line of the last file has an image name and 1 (shown), -1 (not shown) or 0
(only difficult objects). Other tools write no file per class but one list of
names, ImageSets/Main/trainval.txt; classes and labels then come from the
objects.
"""

import os
from typing import NamedTuple
from xml.etree import ElementTree

import defusedxml
import defusedxml.ElementTree
import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import image_folder, missing
from tf_ssl.datasets.annotations import annotations, collector

_MAIN = os.path.join("ImageSets", "Main")
_TARGETS = {
  "1": annotations.PRESENT,
  "-1": annotations.ABSENT,
  "0": annotations.IGNORED,
}
_MAX_XML_BYTES = 16 * 2**20  # Annotations have a few kilobytes.
_EXPECTED = (
  "JPEGImages/, Annotations/ and ImageSets/Main/*_{split}.txt, such as"
  " VOCdevkit/VOC2007/ (5,011 images in trainval, 4,952 in test). Download"
  " http://host.robots.ox.ac.uk/pascal/VOC/voc2007/"
  "VOCtrainval_06-Nov-2007.tar (460 MB) and VOCtest_06-Nov-2007.tar (451 MB)"
  " and unpack both into one folder; or change VOC"
)


class _Object(NamedTuple):
  """One object of an annotation; `corners` is None if unreadable."""

  class_name: str
  corners: tuple[float, float, float, float] | None
  difficult: bool


def read(
  root: str, *, split: str, max_skipped_fraction: float = 0.05
) -> annotations.Annotations:
  """Lists the images of one split, in the order of their names.

  Args:
    root: folder that holds JPEGImages/, such as VOCdevkit/VOC2007.
    split: "trainval", "test", or another split of ImageSets/Main.
    max_skipped_fraction: maximum fraction of skipped images, and of skipped
      boxes.

  Raises:
    UsageError: there are no such images, with where to get them, or too many
      images or boxes cannot be used.
  """
  collected = collector.Collector(root)
  main = os.path.join(collected.root, _MAIN)
  end = f"_{split}.txt"
  classes = [
    name.removesuffix(end)
    for name in missing.list_folder(main)
    if name.endswith(end) and name != end
  ]
  labels = _class_lists(collected, main, classes, end)
  if not classes:
    labels = {name: {} for name in _names(collected, main, f"{split}.txt")}
  files = {name: f"JPEGImages/{name}.jpg" for name in sorted(labels)}
  found = _add_images(
    collected, files, os.path.join(collected.root, "Annotations")
  )
  class_names = classes or sorted(_class_names(found))
  _add_boxes(collected, found, class_names)
  targets = None
  if classes:
    targets = np.full((len(found), len(classes)), annotations.IGNORED, np.int8)
    for index, (name, _) in found.items():
      for class_id, class_name in enumerate(classes):
        target = labels[name].get(class_name)
        if target is None:
          collected.skip("no label for a class", f"{name}, {class_name}")
        else:
          targets[index, class_id] = target
  return collected.build(
    source=f"VOC {split}",
    class_names=class_names,
    targets=targets,
    expected=_EXPECTED.format(split=split),
    max_skipped_fraction=max_skipped_fraction,
  )


def read_folder(
  annotations_folder: str, images: str, *, max_skipped_fraction: float = 0.05
) -> annotations.Annotations:
  """Lists the images of all XML files in a folder, in the order of their names.

  Many tools write such files, without VOC's layout and lists. Classes are those
  of the objects.

  Args:
    annotations_folder: folder of NAME.xml.
    images: folder of the images, NAME with an image extension.
    max_skipped_fraction: maximum fraction of skipped images, and of skipped
      boxes.

  Raises:
    UsageError: there are no such images, or too many images or boxes cannot be
      used.
  """
  collected = collector.Collector(images)
  names = [
    name.removesuffix(".xml")
    for name in missing.list_folder(annotations_folder)
    if name.endswith(".xml")
  ]
  files = {}
  for file in missing.list_folder(collected.root):
    if os.fsencode(file).lower().endswith(image_folder.EXTENSIONS):
      files.setdefault(os.path.splitext(file)[0], file)
  found = _add_images(
    collected,
    {name: files.get(name, f"{name}.jpg") for name in names},
    annotations_folder,
  )
  class_names = sorted(_class_names(found) - {""})
  _add_boxes(collected, found, class_names)
  folder = os.path.basename(os.path.abspath(annotations_folder))
  return collected.build(
    source=f"VOC XML of {folder}",
    class_names=class_names,
    expected=(
      f"NAME.xml with objects in {annotations_folder!r}, and an image NAME.jpg"
      " for each; or change the folders of annotations and of images"
    ),
    max_skipped_fraction=max_skipped_fraction,
  )


def _class_lists(
  collected: collector.Collector, main: str, classes: list[str], end: str
) -> dict[str, dict[str, int]]:
  """Returns the target of each class, by image name."""
  labels: dict[str, dict[str, int]] = {}
  for class_name in classes:
    for number, line in enumerate(_lines(main, class_name + end), 1):
      words = line.split()
      if not words:
        continue
      if len(words) != 2 or words[1] not in _TARGETS or not _plain(words[0]):
        collected.skip(
          "a line that is not a name and 1, 0 or -1",
          f"{class_name}{end}, line {number}",
        )
        continue
      labels.setdefault(words[0], {})[class_name] = _TARGETS[words[1]]
  return labels


def _names(collected: collector.Collector, main: str, file: str) -> list[str]:
  """Returns the image names in a list without classes; none if missing."""
  if not os.path.exists(os.path.join(main, file)):
    return []
  names = []
  for number, line in enumerate(_lines(main, file), 1):
    words = line.split()
    if len(words) == 1 and _plain(words[0]):
      names.append(words[0])
    elif words:
      collected.skip("a line that is not a name", f"{file}, line {number}")
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


def _add_images(
  collected: collector.Collector, files: dict[str, str], folder: str
) -> dict[int, tuple[str, list[_Object]]]:
  """Adds images, given by name, with annotations in `folder`.

  Returns:
    Name and objects of each image by its index.
  """
  found = {}
  for name, file in files.items():
    size, objects = _annotation(collected, name, folder)
    index = collected.add_image(file, name, size)
    if index is not None:
      found[index] = name, objects
  return found


def _annotation(
  collected: collector.Collector, name: str, folder: str
) -> tuple[tuple[int, int] | None, list[_Object]]:
  """Returns size and objects of an image; None and [] if unreadable."""
  try:
    root = _parse_xml(os.path.join(folder, f"{name}.xml"))
  except FileNotFoundError:
    collected.skip("no annotation", name)
    return None, []
  except ValueError as error:
    collected.skip(f"an annotation that is {error}", name)
    return None, []
  sides = [_number(root.find("size"), side) for side in ("width", "height")]
  size = None
  if all(s is not None and 0 < s < 2**31 for s in sides):
    size = int(sides[0]), int(sides[1])
  return size, [_object(element) for element in root.findall("object")]


def _parse_xml(path: str) -> ElementTree.Element:
  """Reads XML from an untrusted source; entities are never expanded.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: the file cannot be used; the message completes "that is ...".
  """
  try:
    if os.path.getsize(path) > _MAX_XML_BYTES:
      raise ValueError(f"larger than {_MAX_XML_BYTES:,} bytes")
    with open(path, "rb") as file:
      return defusedxml.ElementTree.parse(file, forbid_dtd=True).getroot()
  except FileNotFoundError:
    raise
  except OSError as error:
    raise ValueError("unreadable") from error
  except defusedxml.DefusedXmlException as error:
    raise ValueError("XML with a document type") from error
  except (ElementTree.ParseError, LookupError) as error:
    raise ValueError("not XML") from error  # LookupError: unknown encoding.


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


def _class_names(found: dict[int, tuple[str, list[_Object]]]) -> set[str]:
  return {each.class_name for _, objects in found.values() for each in objects}


def _add_boxes(
  collected: collector.Collector,
  found: dict[int, tuple[str, list[_Object]]],
  class_names: list[str],
) -> None:
  """Adds the boxes of images, given as name and objects by image index."""
  ids = {name: i for i, name in enumerate(class_names)}
  for index, (name, objects) in found.items():
    for number, each in enumerate(objects):
      box = f"{name}.xml, object {number}"
      if each.class_name not in ids or not each.class_name:
        collected.skip_box("unknown class", f"{box} ({each.class_name!r})")
      elif each.corners is None:
        collected.skip_box("an object without a box", box)
      else:
        collected.add_box(
          index,
          each.corners,
          ids[each.class_name],
          box,
          difficult=each.difficult,
        )
