"""Opens annotated images in any supported format."""

import os

from tf_ssl import errors
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import (
  boxes_manifest,
  coco,
  open_images_csv,
  voc,
)
from tf_ssl.ops import archives

_EXPECTED = (
  "COCO's FILE.json, a folder of VOC's NAME.xml, a folder in VOC's layout "
  "(JPEGImages/, Annotations/, ImageSets/), Open Images' FILE.csv of boxes, or "
  "a manifest FILE.csv with the columns path[,label],xmin,ymin,xmax,ymax"
)


def open_annotations(
  annotations: str,
  images: str | None = None,
  *,
  split: str = "trainval",
  max_skipped_fraction: float = 0.05,
) -> annotations_lib.Annotations:
  """Reads boxes and lists their images.

  Args:
    annotations: FILE.json (`coco`); FILE.csv with a column ImageID
      (`open_images_csv`) or a column path (`boxes_manifest`); a folder in VOC's
      layout, such as VOCdevkit/VOC2007 (`voc.read`); or a folder of XML files,
      such as VOCdevkit/VOC2007/Annotations (`voc.read_folder`).
    images: folder of the images. Optional for a manifest, whose own folder is
      the default; not used for VOC's layout, which has its own.
    split: split of VOC's layout.
    max_skipped_fraction: maximum fraction of skipped images, and of skipped
      boxes.

  Raises:
    UsageError: the annotations are missing, of an unknown format or without a
      box, or too many images or boxes cannot be used.
  """
  path = os.path.expanduser(annotations)
  limit = {"max_skipped_fraction": max_skipped_fraction}
  of_open_images = open_images_csv.is_boxes(path)
  if os.path.isdir(os.path.join(path, "ImageSets", "Main")):
    found = voc.read(path, split=split, **limit)
  elif not os.path.exists(path):
    raise _error(annotations, "no such file or folder")
  elif archives.hint(path):
    raise _error(annotations, archives.hint(path))
  elif path.lower().endswith(".csv") and not of_open_images:
    found = boxes_manifest.read(path, images, **limit)
  elif images is None:
    raise errors.UsageError(
      f"annotations {annotations!r}: no folder of images was given; expected"
      " --images=FOLDER, which file names are relative to"
    )
  elif not os.path.isdir(os.path.expanduser(images)):
    raise no_folder(images)
  elif os.path.isdir(path):
    if not any(name.lower().endswith(".xml") for name in os.listdir(path)):
      raise _error(annotations, "a folder without NAME.xml")
    found = voc.read_folder(path, images, **limit)
  elif of_open_images:
    found = open_images_csv.read(path, images, **limit)
  elif path.lower().endswith(".json"):
    found = coco.read(path, images, **limit)
  else:
    raise _error(annotations, "unknown file type")
  if not (~found.crowd).any():
    raise errors.UsageError(
      f"annotations {annotations!r}: {found.num_boxes} boxes in"
      f" {found.num_images} images, {found.num_boxes} of them crowds; expected"
      " boxes of single objects; change --annotations (without it,"
      " tools.diagnose_dataset estimates objects from the images)"
    )
  return found


def no_folder(images: str) -> errors.UsageError:
  """Returns the error for a folder of images that is missing."""
  problem = archives.hint(os.path.expanduser(images)) or "no such folder"
  return errors.UsageError(
    f"images {images!r}: {problem}; expected the folder that the file names of"
    " the annotations are relative to; change --images"
  )


def _error(annotations: str, problem: str) -> errors.UsageError:
  return errors.UsageError(
    f"annotations {annotations!r}: {problem}; expected {_EXPECTED}; change "
    "--annotations"
  )
