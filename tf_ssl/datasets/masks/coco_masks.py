"""Writes masks of the objects that COCO's format outlines.

`ObjectMasks` reads them, for a change of background.
"""

import collections
import functools
import hashlib
import os
from collections.abc import Mapping
from concurrent import futures
from typing import Any, NamedTuple

from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import missing
from tf_ssl.datasets.annotations import coco, frames, open_annotations
from tf_ssl.datasets.masks import coco_outlines
from tf_ssl.ops import (
  archives,
  exif,
  home,
  pictures,
  progress,
  spelling,
  workdir,
)

KEY_FILE = "drawn_from.json"
_ARGUMENT = "--output_dir"
_VERSION = 1  # Of the pixels of a mask.
_THREADS = 2  # Disk and zlib work beside Python.
_EXPECTED = (
  "COCO's FILE.json with polygons or RLE under `segmentation`, such as "
  "instances_train2017.json; change --annotations"
)
_BOXES_ONLY = (".csv", ".xml")


class Written(NamedTuple):
  """What was written.

  Attributes:
    path: folder of the masks.
    masks: number of masks of the annotated images in it.
    resumed: number of these that were there before.
    without_objects: number of images without objects, which have no mask.
    without_outline: number of images with objects and no mask, because no
      segmentation of them can be used.
    skipped: names of skipped images and objects by reason. Objects of masks
      that were there before are not looked at.
  """

  path: str
  masks: int
  resumed: int
  without_objects: int
  without_outline: int
  skipped: Mapping[str, list[str]]


class _Outcome(NamedTuple):
  """What became of an image.

  Attributes:
    kind: the field of `Written` that counts it; empty for a skipped image.
    skipped: (reason, name) of the image, or of its objects.
  """

  kind: str
  skipped: list[tuple[str, str]]


def write(
  annotations: str, images: str, output_dir: str, *, overwrite: bool = False
) -> Written:
  """Writes a mask for each image with segmented objects.

  A mask is a PNG with 8 bits of the size of the upright image, 255 inside any
  object and 0 elsewhere, under the path of its image. Crowds are left out.
  Segmentations scale with copies of an image in another size. An interrupted
  call can be repeated: masks that are there are kept.

  Args:
    annotations: path of COCO's JSON file.
    images: folder that its file names are relative to.
    output_dir: folder to write, for these annotations only.
    overwrite: whether to replace masks of other annotations.

  Raises:
    UsageError: the annotations are malformed or without segmentations, none of
      their images is in the folder, no mask can be drawn, or the folder has
      other files or cannot be written.
  """
  _check(annotations, images)
  folder = home.expand(output_dir, _ARGUMENT).absolute()
  root = os.path.realpath(os.path.expanduser(images))
  errors.require(
    os.path.commonpath([root, os.path.realpath(folder)]) != root,
    f"{_ARGUMENT}={output_dir} is in the folder of the images, where masks"
    f" would be read as images; expected a folder outside; change {_ARGUMENT}",
  )
  found = coco.read_outlines(annotations, images)
  _check_outlines(annotations, found)
  stems = collections.Counter(_stem(image.file) for image in found.images)
  draw = functools.partial(_draw, found.root, str(folder), stems)
  counts: collections.Counter[str] = collections.Counter()
  with workdir.writable(folder, _ARGUMENT):
    workdir.open_keyed(
      folder,
      {"annotations": _sha256(annotations), "version": _VERSION},
      _ARGUMENT,
      key_file=KEY_FILE,
      on_change="replace" if overwrite else "refuse",
    )
    with (
      futures.ThreadPoolExecutor(_THREADS) as pool,
      progress.bar(
        "Drawing masks", total=len(found.images), unit="image"
      ) as bar,
    ):
      for outcome in pool.map(draw, found.images):
        counts[outcome.kind] += 1
        for reason, name in outcome.skipped:
          found.skipped.setdefault(reason, []).append(name)
        bar.update()
  errors.require(
    counts["masks"] + counts["resumed"],
    f"annotations {annotations!r}: no mask could be drawn for"
    f" {len(found.images)} images under {images!r}"
    f"{missing.summary(found.skipped)}; expected {_EXPECTED}",
  )
  return Written(
    str(folder),
    counts["masks"] + counts["resumed"],
    counts["resumed"],
    counts["without_objects"],
    counts["without_outline"],
    found.skipped,
  )


def _check(annotations: str, images: str) -> None:
  """Raises UsageError for annotations of boxes, and for missing images."""
  path = os.path.expanduser(annotations)
  problem = archives.hint(path)
  if os.path.isdir(path) or path.lower().endswith(_BOXES_ONLY):
    problem = "boxes of VOC or of a CSV file, without outlines of objects"
  errors.require(
    not problem,
    f"annotations {annotations!r}: {problem}; expected {_EXPECTED}",
  )
  if not os.path.isdir(os.path.expanduser(images)):
    raise open_annotations.no_folder(images)


def _check_outlines(annotations: str, found: coco.Outlines) -> None:
  objects = [each for image in found.images for each in image.objects]
  errors.require(
    any(segmentation for _, segmentation in objects),
    f"annotations {annotations!r}: none of {len(objects)} objects in"
    f" {len(found.images)} images has a segmentation"
    f"{missing.summary(found.skipped)}; expected {_EXPECTED}",
  )


def _draw(
  root: str, folder: str, stems: Mapping[str, int], image: coco.Outlined
) -> _Outcome:
  """Writes the mask of one image, if it has one.

  Args:
    root: folder of the images.
    folder: folder of the masks.
    stems: number of images by the name of their mask.
    image: image with its objects.

  Raises:
    OSError: the mask cannot be written.
  """
  if not image.objects:
    return _Outcome("without_objects", [])
  if stems[_stem(image.file)] > 1:
    return _Outcome("", [("an image with the name of another", image.file)])
  header = frames.read_header(os.path.join(root, image.file))
  if header is None:
    return _Outcome("", [("an image without a readable size", image.file)])
  frame = frames.find(image.size, header)
  if frame.reshaped:
    reason = "an image of another aspect ratio than its annotations"
    return _Outcome("", [(reason, image.file)])
  path = os.path.join(folder, os.path.splitext(image.file)[0] + ".png")
  before = frames.read_header(path) if os.path.exists(path) else None
  if before is not None and before.upright == header.upright:
    return _Outcome("resumed", [])
  rles, skipped = _outlines(image, frame, header)
  if not rles:
    return _Outcome("without_outline", skipped)
  pixels = pictures.turned(coco_outlines.pixels(rles), frame.orientation)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with workdir.replacing_file(path) as temporary:
    Image.fromarray(pixels * 255).save(temporary, format="PNG")
  return _Outcome("masks", skipped)


def _outlines(
  image: coco.Outlined, frame: frames.Frame, header: exif.Header
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
  """Returns the RLE of each object, and (reason, name) of skipped ones."""
  size = given = header.stored
  if frame.orientation == exif.UPRIGHT:  # Of the outlines.
    size, given = header.upright, frame.size
  rles, skipped = [], []
  for name, segmentation in image.objects:
    if not segmentation:
      skipped.append(("an object without a segmentation", name))
      continue
    try:
      rles.append(coco_outlines.rle(segmentation, given, size))
    except ValueError as error:
      skipped.append((str(error), name))
  return rles, skipped


def _stem(file: str) -> str:
  """What two files have in common that would have one mask."""
  return spelling.key(os.path.splitext(os.path.normpath(file))[0])


def _sha256(file: str) -> str:
  with open(os.path.expanduser(file), "rb") as stream:
    return hashlib.file_digest(stream, "sha256").hexdigest()
