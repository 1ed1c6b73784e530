"""PASCAL VOC: images with the boxes of 20 classes, in its own layout.

Everingham et al. 2010, for example VOC2007:

    JPEGImages/000005.jpg
    Annotations/000005.xml                   the objects of an image
    ImageSets/Main/chair_trainval.txt        which images show a chair

A line of the last file has an image name and 1 (shown), -1 (not shown) or 0
(only difficult objects). Other tools write no file per class but one list of
names, ImageSets/Main/trainval.txt; classes and labels then come from the
objects. Such names may have blanks, folders and the image's extension, and
images may be of any kind that is read.

An image whose annotation cannot be read is skipped: it is not known whether it
shows an object.
"""

import os
import re
from typing import NamedTuple
from xml.etree import ElementTree

import defusedxml
import defusedxml.ElementTree
import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import image_folder, missing
from tf_ssl.datasets.annotations import annotations, collector
from tf_ssl.ops import encodings, numerals, spelling

_MAIN = os.path.join("ImageSets", "Main")
_TARGETS = {
  "1": annotations.PRESENT,
  "-1": annotations.ABSENT,
  "0": annotations.IGNORED,
}
_MAX_XML_BYTES = 16 * 2**20  # Annotations have a few kilobytes.
_IMAGES = tuple(os.fsdecode(name) for name in image_folder.EXTENSIONS)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}encoding=["']([\w.-]{1,40})["']""")
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
  images = _Files(os.path.join(collected.root, "JPEGImages"), _IMAGES)
  end = f"_{split}.txt"
  classes = [
    name.removesuffix(end)
    for name in missing.list_folder(main)
    if name.endswith(end) and name != end
  ]
  labels = _class_lists(collected, main, classes, end)
  if not classes:
    names = _names(collected, main, f"{split}.txt", images)
    labels = {name: {} for name in names}
  found = _add_images(
    collected,
    {
      name: f"JPEGImages/{images.find(name) or f'{name}.jpg'}"
      for name in sorted(labels)
    },
    os.path.join(collected.root, "Annotations"),
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
  files = _Files(collected.root, _IMAGES)
  names = [
    os.path.splitext(name)[0]
    for name in missing.list_folder(annotations_folder)
    if name.lower().endswith(".xml")
  ]
  found = _add_images(
    collected,
    {name: files.find(name) or f"{name}.jpg" for name in names},
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
      words = line.rsplit(None, 1)
      if not words:
        continue
      name = words[0].strip().replace("\\", "/")
      if len(words) != 2 or words[1] not in _TARGETS or not _inside(name):
        collected.skip(
          "a line that is not a name and 1, 0 or -1",
          f"{class_name}{end}, line {number}",
        )
        continue
      labels.setdefault(name, {})[class_name] = _TARGETS[words[1]]
  return labels


def _names(
  collected: collector.Collector, main: str, file: str, images: "_Files"
) -> list[str]:
  """Returns the image names in a list without classes; none if missing."""
  if not os.path.exists(os.path.join(main, file)):
    return []
  names = []
  for number, line in enumerate(_lines(main, file), 1):
    name = line.strip().replace("\\", "/")
    words = name.split()
    if _inside(name) and (len(words) == 1 or images.find(name)):
      names.append(name)
    elif words:
      collected.skip("a line that is not a name", f"{file}, line {number}")
  return names


def _lines(main: str, name: str) -> list[str]:
  path = os.path.join(main, name)
  try:
    with open(
      path, encoding=encodings.of(path), errors="surrogateescape"
    ) as file:
      return file.read().splitlines()
  except (OSError, UnicodeError) as error:
    raise errors.UsageError(
      f"VOC: cannot read {path!r} ({getattr(error, 'strerror', error)});"
      " expected a list of images"
    ) from error


def _inside(name: str) -> bool:
  return not name.startswith("/") and ".." not in name.split("/")


class _Files:
  """Finds the files of a folder by their names without extension."""

  def __init__(self, root: str, extensions: tuple[str, ...]):
    """Starts without reading the folder.

    Args:
      root: path of the folder.
      extensions: extensions in lower case; the files' may be in any.
    """
    self._root = root
    self._extensions = extensions
    self._folders: dict[str, dict[str, str]] = {}

  def find(self, name: str) -> str | None:
    """Returns the path of a file, relative to the folder; None if missing.

    Args:
      name: path in the folder, without extension or with that of an image, in
        any Unicode form.
    """
    folder, stem = os.path.split(name)
    folder, stem = spelling.on_disk(self._root, folder), spelling.key(stem)
    if folder not in self._folders:
      self._folders[folder] = found = {}
      path = os.path.join(self._root, folder)
      # .jpg first, as in VOC, if there are several.
      for file in sorted(
        missing.list_folder(path) if os.path.isdir(path) else [],
        key=lambda file: not file.endswith(".jpg"),
      ):
        one, extension = os.path.splitext(file)
        if extension.lower() in self._extensions:
          found.setdefault(spelling.key(one), file)
    found = self._folders[folder]
    shorter, extension = os.path.splitext(stem)
    file = found.get(stem)
    if file is None and extension.lower() in _IMAGES:
      file = found.get(shorter)
    return None if file is None else os.path.join(folder, file)


def _add_images(
  collected: collector.Collector, files: dict[str, str], folder: str
) -> dict[int, tuple[str, list[_Object]]]:
  """Adds images, given by name, with annotations in `folder`.

  Returns:
    Name and objects of each image by its index.
  """
  xml = _Files(folder, (".xml",))
  found = {}
  for name, file in files.items():
    path = xml.find(name)
    size, objects = None, []
    if path is None:
      collected.skip("no annotation", name)
    else:
      try:
        size, objects = _annotation(os.path.join(folder, path))
      except ValueError as error:
        collected.skip_image(f"an annotation that is {error}", name)
        continue
    index = collected.add_image(file, name, size)
    if index is not None:
      found[index] = name, objects
  return found


def _annotation(
  path: str,
) -> tuple[tuple[str | None, str | None] | None, list[_Object]]:
  """Returns size and objects of an image, the size as it is written.

  Raises:
    ValueError: the file cannot be used; the message completes "that is ...".
  """
  root = _parse_xml(path)
  objects = root.findall("object")
  if root.tag != "annotation" and not objects:
    raise ValueError("XML of another kind")
  size = root.find("size")
  sides = None
  if size is not None:
    sides = size.findtext("width"), size.findtext("height")
  return sides, [_object(each) for each in objects]


def _parse_xml(path: str) -> ElementTree.Element:
  """Reads XML from an untrusted source; entities are never expanded.

  Raises:
    ValueError: the file cannot be used; the message completes "that is ...".
  """
  try:
    if not os.path.isfile(path):
      raise ValueError("no file")
    with open(path, "rb") as file:
      content = file.read(_MAX_XML_BYTES + 1)
  except OSError as error:
    raise ValueError("unreadable") from error
  if len(content) > _MAX_XML_BYTES:
    raise ValueError(f"larger than {_MAX_XML_BYTES:,} bytes")
  try:
    return defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
  except defusedxml.DefusedXmlException as error:
    raise ValueError("XML with a document type") from error
  except defusedxml.ElementTree.ParseError as error:
    raise ValueError(_why_malformed(content)) from error
  except Exception as error:  # Of an encoding that Python's reader lacks.
    declared = _DECLARED.search(content[:200])
    if declared is None:
      raise ValueError("not XML") from error
    raise ValueError(
      f"not UTF-8 but in {declared[1].decode()}: save it as UTF-8"
    ) from error


def _why_malformed(content: bytes) -> str:
  """Completes "that is ..."; the encoding is a guess."""
  declared = _DECLARED.search(content[:200])
  if declared and declared[1].lower() not in (b"utf-8", b"utf8"):
    return "not XML"  # It is readable in this encoding.
  try:
    content.decode()
  except UnicodeDecodeError:
    if b"<annotation" in content:
      # Chinese has two bytes per character.
      runs = re.findall(rb"[\x80-\xff]+", content)
      even = all(len(run) % 2 == 0 for run in runs)
      guess = "GBK" if even else "Latin-1"
      return f"not UTF-8 but perhaps {guess}: save it as UTF-8"
  return "not XML"


def _object(element: ElementTree.Element) -> _Object:
  box = element.find("bndbox")
  # VOC counts pixels from 1 and includes the last.
  corners = [
    _number(box, side, less)
    for side, less in (("xmin", 1), ("ymin", 1), ("xmax", 0), ("ymax", 0))
  ]
  return _Object(
    spelling.key((element.findtext("name") or "").strip()),
    None if None in corners else tuple(corners),
    (element.findtext("difficult") or "0").strip() == "1",
  )


def _number(
  element: ElementTree.Element | None, name: str, less: float
) -> float | None:
  found = None
  if element is not None:
    found = numerals.number(element.findtext(name))
  return None if found is None else found - less


def _class_names(found: dict[int, tuple[str, list[_Object]]]) -> set[str]:
  return {each.class_name for _, objects in found.values() for each in objects}


def _add_boxes(
  collected: collector.Collector,
  found: dict[int, tuple[str, list[_Object]]],
  class_names: list[str],
) -> None:
  """Adds the boxes of images, given as name and objects by image index."""
  ids = {spelling.key(name): i for i, name in enumerate(class_names)}
  for index, (name, objects) in found.items():
    for number, each in enumerate(objects):
      box = f"{name}.xml, object {number}"
      if each.class_name not in ids or not each.class_name:
        collected.skip_box(
          "unknown class",
          f"{box} ({each.class_name!r})",
          image=None if each.class_name else index,
        )
      elif each.corners is None:
        collected.skip_box(
          "an object without a box",
          box,
          image=index,
          class_id=ids[each.class_name],
        )
      else:
        collected.add_box(
          index,
          each.corners,
          ids[each.class_name],
          box,
          difficult=each.difficult,
        )
